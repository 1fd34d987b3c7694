// Plays with hls.js and reports its state.

import Hls from './hls.min.mjs';
import { hlsError, hostOf } from './words.js';

// A live stream can stop for minutes and continue. The page must then continue without a key press.
const AGAIN_S = 3;
// With more errors than this, the decoder does not recover.
const RECOVER_EVERY_MS = 10_000;
// Clocks of cameras can be wrong: above this value, EXT-X-PROGRAM-DATE-TIME does not measure the latency.
const TRUSTED_LATENCY_S = 3_600;

export function canPlay() {
    return Hls.isSupported();
}

export const NAME = `hls.js ${Hls.version}`;

// `tell` has `side({ id, host })` for each change on screen, and `error({ text, fatal })`.
export function playByHls(video, url, tell) {
    // The worker is a separate file: made from a blob, it would need an exception in the Content-Security-Policy.
    const hls = new Hls({ workerPath: new URL('hls.worker.js', import.meta.url).href });
    const { Events, ErrorTypes } = Hls;
    // The level of a playlist's URL. A segment knows its playlist, but `hls.levels` becomes that of the other side after a
    // switch, while segments of the former side are still in the buffer.
    const levels = new Map();
    let onScreen;
    let details;
    let again;
    let recoveredAt = -Infinity;

    hls.on(Events.LEVEL_LOADED, (_, data) => {
        details = data.details;
        levels.set(details.url, data.levelInfo);
    });
    hls.on(Events.FRAG_CHANGED, (_, { frag }) => {
        const level = levels.get(frag.baseurl) ?? hls.levels[frag.level];
        if (!level) return;
        onScreen = { level, side: sideOf(level), host: hostOf(frag.url) };
        tell.side({ id: onScreen.side, host: onScreen.host });
    });
    hls.on(Events.MANIFEST_PARSED, () => {
        // Some browsers refuse to play before a gesture. Then the video's own button is visible.
        video.play().catch(() => {});
    });
    hls.on(Events.ERROR, (_, data) => {
        if (!data.fatal) {
            tell.error({ text: hlsError(data), fatal: false });
        } else if (data.type === ErrorTypes.MEDIA_ERROR && performance.now() - recoveredAt > RECOVER_EVERY_MS) {
            recoveredAt = performance.now();
            tell.error({ text: `${hlsError(data)}. Trying to go on`, fatal: false });
            hls.recoverMediaError();
        } else {
            tell.error({ text: `${hlsError(data)}. Trying again in ${AGAIN_S} s`, fatal: true });
            clearTimeout(again);
            again = setTimeout(start, AGAIN_S * 1000);
        }
    });

    // Loads the multivariant playlist again as well, because the URLs of a side may be new. A recording continues at its position.
    function start() {
        if (details && !details.live) {
            hls.startLoad();
        } else {
            hls.loadSource(url);
        }
    }

    function sideOf(level) {
        const id = level.attrs['PATHWAY-ID'];
        return id || (hls.pathways.length > 1 ? `copy ${hls.pathways.indexOf(level.pathwayId) + 1}` : undefined);
    }

    start();
    hls.attachMedia(video);

    return {
        facts() {
            return {
                side: onScreen?.side,
                host: onScreen?.host,
                live: details?.live,
                rendition: onScreen && rendition(onScreen.level),
                ladder: hls.levels.map((level, index) => ({ ...rendition(level), index })),
                // -1 is automatic.
                chosen: hls.autoLevelEnabled ? -1 : hls.manualLevel,
                throughput: hls.bandwidthEstimate,
                target: details?.targetduration,
                latency: latency(),
            };
        },
        // The change is on screen with the next segment, not after the buffer has been played.
        choose(index) {
            hls.nextLevel = index;
        },
        end() {
            clearTimeout(again);
            hls.destroy();
        },
    };

    function latency() {
        const behindEdge = details?.live ? hls.latency : undefined;
        const made = hls.playingDate;
        const sinceMade = made ? (Date.now() - made.getTime()) / 1000 : NaN;
        const isTrusted = sinceMade >= 0 && sinceMade < TRUSTED_LATENCY_S;
        return { behindEdge, sinceMade: details?.live && isTrusted ? sinceMade : undefined };
    }
}

function rendition(level) {
    const { width, height, frameRate, videoCodec, audioCodec } = level;
    const codecs = [videoCodec, audioCodec].filter(Boolean).map((codec) => codec.split('.')[0]).join(', ');
    // A media playlist that is opened directly has no BANDWIDTH. The loaded segments give the bitrate.
    return { width, height, frameRate, codecs, bitrate: level.bitrate || level.realBitrate };
}
