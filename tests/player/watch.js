// The page: hls.js with its default configuration plays a stream. The binding `tell` reports everything that a viewer
// would notice to watch.mjs, one JSON object per event.

'use strict';

// The time without progress that counts as a stall. Chromium's clock for `currentTime` runs between frames, so a busy
// machine alone does not stop it.
const STALL_MS = 250;
const LOOK_EVERY_MS = 50;

const video = document.querySelector('video');
const board = document.querySelector('pre');
const { Events } = Hls;
let hls;

function say(event, fields) {
    tell(JSON.stringify({ at_ms: Date.now(), event, ...fields }));
}

function pathwayOf(level) {
    return level?.attrs['PATHWAY-ID'] ?? level?.pathwayId;
}

function fragment(frag) {
    return { url: frag.url, type: frag.type, sn: frag.sn, pathway: pathwayOf(hls.levels[frag.level]) };
}

// Called by watch.mjs.
function play(url) {
    const log = (...words) => say('log', { text: words.join(' ') });
    const quiet = () => {};
    hls = new Hls({ debug: { trace: quiet, debug: quiet, log, info: log, warn: log, error: log } });

    let pathway;
    const lookAtPathway = (level) => {
        const id = pathwayOf(level);
        if (id !== pathway) say('pathway', { id });
        pathway = id;
    };
    hls.on(Events.LEVEL_SWITCHING, (_, data) => lookAtPathway(data));
    hls.on(Events.FRAG_LOADED, (_, { frag }) => say('fragment', fragment(frag)));
    hls.on(Events.FRAG_CHANGED, (_, { frag }) => say('on_screen', fragment(frag)));
    hls.on(Events.STEERING_MANIFEST_LOADED, (_, { steeringManifest, url: from }) => {
        say('steering', { url: from, priority: steeringManifest['PATHWAY-PRIORITY'] });
    });
    hls.on(Events.ERROR, (_, data) => {
        const { type, details, fatal, response, error, url: at } = data;
        const why = { type, details, status: response?.code, url: at ?? data.context?.url ?? data.frag?.url };
        say(fatal ? 'fatal' : 'error', { ...why, message: error?.message });
    });

    watch();
    hls.loadSource(url);
    hls.attachMedia(video);
}

// Reports stalls and jumps after the first moving picture.
function watch() {
    let position;
    let movedAt;
    let stallFrom;
    let stalls = 0;
    let lastSecond;

    for (const name of ['waiting', 'playing', 'seeking', 'ended', 'pause']) {
        video.addEventListener(name, () => {
            say('video', { name, position: video.currentTime });
        });
    }

    setInterval(() => {
        const now = performance.now();
        const { currentTime } = video;
        if (movedAt === undefined) {
            if (currentTime > 0 && !video.seeking && !video.paused && currentTime !== position && position > 0) {
                movedAt = now;
                say('started', { position: currentTime });
            }
        } else if (currentTime !== position) {
            if (stallFrom !== undefined) {
                say('stall', { from_ms: stallFrom, stalled_ms: Date.now() - stallFrom, position: currentTime });
                stallFrom = undefined;
            }
            movedAt = now;
        } else if (stallFrom === undefined && now - movedAt >= STALL_MS) {
            stallFrom = Math.round(performance.timeOrigin + movedAt);
            stalls += 1;
            say('stalling', { from_ms: stallFrom, position: currentTime });
        }
        position = currentTime;

        const second = Math.floor(Date.now() / 1000);
        if (second !== lastSecond) {
            lastSecond = second;
            const { buffered } = video;
            const end = buffered.length ? buffered.end(buffered.length - 1) : 0;
            const state = {
                position: round(currentTime),
                ahead_s: round(Math.max(0, end - currentTime)),
                behind_live_s: round(hls.latency),
                height: video.videoHeight,
                pathway: pathwayOf(hls.levels[hls.loadLevel]),
                ranges: buffered.length,
            };
            say('state', state);
            board.textContent = [
                `${new Date().toISOString().slice(11, 19)} UTC   pathway ${state.pathway}   ${state.height}p`,
                `${state.ahead_s} s buffered   ${state.behind_live_s} s behind live   ${stalls} stalls`,
            ].join('\n');
        }
    }, LOOK_EVERY_MS);
}

function round(seconds) {
    return Math.round(seconds * 100) / 100;
}
