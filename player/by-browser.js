// Plays with the browser's own HLS if there are no Media Source Extensions (older iPhones). It reports neither side nor
// ladder nor bitrate.

import { NONE, hostOf, mediaError } from './words.js';

const AGAIN_S = 3;

export function canPlay(video) {
    return video.canPlayType('application/vnd.apple.mpegurl') !== '';
}

export const NAME = "the browser's own HLS";

export function playByBrowser(video, url, tell) {
    let again;
    const failed = () => {
        tell.error({ text: `${mediaError(video.error)}. Trying again in ${AGAIN_S} s`, fatal: true });
        again = setTimeout(start, AGAIN_S * 1000);
    };
    const begun = () => tell.side({ id: NONE, host: hostOf(url) });
    video.addEventListener('error', failed);
    video.addEventListener('playing', begun);

    function start() {
        video.src = url;
        video.play().catch(() => {});
    }
    start();

    return {
        facts() {
            const { videoWidth: width, videoHeight: height } = video;
            const live = video.readyState > 0 ? video.duration === Infinity : undefined;
            return {
                host: hostOf(url),
                isOpaque: true,
                live,
                rendition: height ? { width, height } : undefined,
                ladder: [],
                chosen: -1,
                latency: live ? latency() : {},
            };
        },
        choose() {},
        end() {
            clearTimeout(again);
            video.removeEventListener('error', failed);
            video.removeEventListener('playing', begun);
            video.removeAttribute('src');
            video.load();
        },
    };

    function latency() {
        const { seekable } = video;
        const edge = seekable.length > 0 ? seekable.end(seekable.length - 1) : NaN;
        // Some browsers set the end of the seekable range to 0 or to infinity.
        const behindEdge = edge >= video.currentTime ? edge - video.currentTime : undefined;
        // Safari's property for EXT-X-PROGRAM-DATE-TIME. It is NaN if the stream has none.
        const start = video.getStartDate?.().getTime();
        const sinceMade = Number.isFinite(start) ? (Date.now() - start) / 1000 - video.currentTime : undefined;
        return { behindEdge, sinceMade };
    }
}
