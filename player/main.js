// Connects the parts of the page: the playlist, the player, and the values that are shown each second.

import * as board from './board.js';
import * as byBrowser from './by-browser.js';
import * as byHls from './by-hls.js';
import { MINUTES, draw, inWords } from './plot.js';
import { chosenSource } from './source.js';
import { watchStalls } from './stalls.js';
import { rung } from './words.js';

const LOOK_EVERY_MS = 500;
const SAMPLE_EVERY_MS = 1_000;
const SAMPLES = MINUTES * 60 + 1;
const ERRORS = 50;

const video = document.getElementById('video');
const canvas = document.getElementById('plot');
const history = [];
const errors = [];
const samples = [];
let failure;
let switched;

function begin() {
    const { given, url, problem } = chosenSource(location.href);
    document.getElementById('src').value = given;
    if (problem) {
        board.status(problem, 'bad');
        return;
    }
    const tell = { side: onSide, error: onError };
    let player;
    if (byHls.canPlay()) {
        player = byHls.playByHls(video, url, tell);
        engine(byHls.NAME);
    } else if (byBrowser.canPlay(video)) {
        player = byBrowser.playByBrowser(video, url, tell);
        engine(`${byBrowser.NAME}: it does not say which side and which rendition it takes`);
    } else {
        board.status('This browser cannot play HLS: it has neither Media Source Extensions nor HLS of its own.', 'bad');
        return;
    }
    board.status('Opening the playlist', 'quiet');
    const stalls = watchStalls(video);
    const look = () => show(player, stalls);
    const timer = setInterval(look, LOOK_EVERY_MS);
    window.addEventListener('resize', redraw);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
    // A page that is left without being unloaded (Back, on a phone) would continue to load segments.
    window.addEventListener('pagehide', () => {
        clearInterval(timer);
        stalls.end();
        player.end();
    });
    window.addEventListener('pageshow', (event) => {
        if (event.persisted) location.reload();
    });
    redraw();
}

function onSide({ id, host }) {
    failure = undefined;
    const last = history.at(-1);
    if (last && last.id === id && last.host === host) return;
    if (last) switched = id ?? host;
    history.push({ from: Date.now(), id, host });
}

function onError({ text, fatal }) {
    if (fatal) failure = text;
    const last = errors.at(-1);
    if (last?.text === text) {
        last.times += 1;
        last.last = Date.now();
    } else {
        errors.push({ last: Date.now(), text, times: 1 });
        // The page may be open for days.
        if (errors.length > ERRORS) errors.shift();
    }
    board.errors(errors);
    if (fatal) board.status(text, 'bad');
}

function show(player, watched) {
    const facts = player.facts();
    const stalls = watched.facts();
    const buffer = bufferAhead();
    board.tiles({ facts, stalls, buffer, video });
    board.ladder(facts, (index) => player.choose(index));
    board.sides(history, Date.now());
    board.status(...inOneLine(facts, stalls));

    const now = Date.now();
    if (!stalls.started || now - (samples.at(-1)?.at ?? 0) < SAMPLE_EVERY_MS - LOOK_EVERY_MS / 2) return;
    const bitrate = facts.rendition?.bitrate;
    samples.push({ at: now, buffer, bitrate, stalled: stalls.isStanding, switched });
    switched = undefined;
    if (samples.length > SAMPLES) samples.shift();
    redraw();
}

function inOneLine(facts, stalls) {
    if (failure) return [failure, 'bad'];
    if (video.ended) return ['The end', 'quiet'];
    if (stalls.isStanding) return ['Stalled: waiting for data', 'bad'];
    if (video.paused && video.readyState > 1) return ['Paused: press play in the picture', 'quiet'];
    if (!stalls.started) return ['Opening the playlist', 'quiet'];
    const what = facts.live ? 'Live' : 'Playing';
    const height = facts.rendition?.height || video.videoHeight;
    const where = facts.side ? ` from side ${facts.side}` : '';
    const shape = height ? ` in ${rung({ ...facts.rendition, height })}` : '';
    return [`${what}${shape}${where}`, facts.live ? 'live' : 'good'];
}

// The end of the buffered range at the position. Data after a hole does not count.
function bufferAhead() {
    const { buffered, currentTime } = video;
    for (let index = 0; index < buffered.length; index += 1) {
        // hls.js skips holes of half a second at the start of a range.
        if (buffered.start(index) - 0.5 <= currentTime && currentTime <= buffered.end(index)) {
            return buffered.end(index) - currentTime;
        }
    }
    return 0;
}

function engine(text) {
    document.getElementById('engine').textContent = `Played by ${text}.`;
}

function redraw() {
    draw(canvas, samples, Date.now());
    canvas.setAttribute('aria-label', inWords(samples));
}

begin();
