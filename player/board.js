// Writes the known values into the page. Text from an address or a playlist becomes textContent, never
// markup.

import { NONE, bitrate, clock, duration, rung, seconds } from './words.js';

// For a playlist that names no sides.
const ONLY = 'Only one';
const ERRORS_SHOWN = 8;
const SIDES_SHOWN = 12;

const at = (id) => document.getElementById(id);

function write(id, text) {
    const element = at(id);
    // Changes only different values, so that a selection stays and the browser need not lay the page out again.
    if (element.textContent !== text) element.textContent = text;
}

export function status(text, is) {
    write('status', text);
    at('status').dataset.is = is;
}

// The six tiles.
export function tiles({ facts, stalls, buffer, video }) {
    const { live, rendition, latency } = facts;
    write('side', facts.side ?? (facts.host && !facts.isOpaque ? ONLY : NONE));
    write('side-note', facts.host ?? '');
    // The decoded size, if the playlist does not have it.
    const shape = rendition?.height ? rendition : { height: video.videoHeight, width: video.videoWidth };
    write('rendition', rendition ? rung({ ...rendition, ...shape }) : NONE);
    write('rendition-note', rendition ? [
        shape.width && `${shape.width}×${shape.height}`,
        rendition.bitrate && bitrate(rendition.bitrate),
        rendition.codecs,
    ].filter(Boolean).join(' · ') : '');
    write('buffer', stalls.started || buffer > 0 ? seconds(buffer) : NONE);
    write('buffer-note', facts.throughput && rendition ? `loads at ${bitrate(facts.throughput)}` : '');
    latencyTile(live, latency, video);
    write('stalls', String(stalls.count));
    write('stalls-note', stalls.count ? `${seconds(stalls.total_s)} in all` : 'since the first picture');
    at('stalls').parentElement.dataset.is = stalls.isStanding ? 'bad' : stalls.count ? 'warn' : 'quiet';
    const quality = video.getVideoPlaybackQuality?.();
    write('dropped', quality ? String(quality.droppedVideoFrames) : NONE);
    write('dropped-note', quality?.totalVideoFrames ? `of ${quality.totalVideoFrames.toLocaleString('en-GB')}` : '');
}

function latencyTile(live, { behindEdge, sinceMade }, video) {
    if (live === undefined) {
        write('latency', NONE);
        write('latency-note', '');
    } else if (!live) {
        write('latency', 'Recorded');
        write('latency-note', `at ${duration(video.currentTime)} of ${duration(video.duration)}`);
    } else {
        const isKnown = Number.isFinite(behindEdge);
        write('latency', seconds(sinceMade ?? behindEdge));
        write('latency-note', [
            sinceMade !== undefined && 'since encoded',
            isKnown && `${sinceMade === undefined ? '' : `${seconds(behindEdge)} `}behind the live edge`,
        ].filter(Boolean).join('; ') || 'the browser does not say');
    }
}

// The ladder as radio buttons, which arrow keys and screen readers support. They are created again only when the ladder
// changes, so that the focus stays.
export function ladder({ ladder: rungs, chosen, rendition, isOpaque }, choose) {
    const fieldset = at('ladder');
    if (isOpaque) write('no-ladder', 'The browser chooses, and does not say between which.');
    const shape = JSON.stringify(rungs.map(({ height, bitrate: bits, index }) => [height, bits, index]));
    if (fieldset.dataset.shape !== shape) {
        fieldset.dataset.shape = shape;
        for (const old of fieldset.querySelectorAll('label')) old.remove();
        if (rungs.length > 0) {
            const highestFirst = [...rungs].sort((a, b) => b.bitrate - a.bitrate);
            fieldset.append(option(-1, 'Automatic', 'what the network can carry', choose));
            fieldset.append(...highestFirst.map((one) => option(one.index, rung(one), bitrate(one.bitrate), choose)));
        }
    }
    for (const label of fieldset.querySelectorAll('label')) {
        const input = label.firstElementChild;
        const index = Number(input.value);
        const one = rungs.find((other) => other.index === index);
        input.checked = index === chosen;
        const isOn = one && rendition && one.height === rendition.height && one.bitrate === rendition.bitrate;
        label.lastElementChild.textContent = isOn ? 'on screen' : '';
    }
}

function option(index, name, note, choose) {
    const label = document.createElement('label');
    const input = document.createElement('input');
    input.type = 'radio';
    input.name = 'rendition';
    input.value = index;
    input.addEventListener('change', () => choose(index));
    label.append(input, element('b', name), element('small', note), element('em', ''));
    return label;
}

// The sides that were on screen: { from, id, host }, oldest first. The last one is on screen now.
export function sides(history, now) {
    const rows = history.map(({ from, id, host }, index) => {
        const until = history[index + 1]?.from ?? now;
        return [clock(new Date(from)), id ?? ONLY, host, duration((until - from) / 1000)];
    });
    table('history', rows.slice(-SIDES_SHOWN).reverse());
}

// Errors: { last, text, times }, oldest first.
export function errors(list) {
    const row = ({ last, text, times }) => [clock(new Date(last)), text, times > 1 ? `${times} times` : ''];
    table('errors', list.slice(-ERRORS_SHOWN).reverse().map(row));
}

function table(id, rows) {
    const shape = JSON.stringify(rows);
    if (at(id).dataset.shape === shape) return;
    at(id).dataset.shape = shape;
    at(id).replaceChildren(...rows.map((cells) => {
        const row = document.createElement('li');
        row.append(...cells.map((text, index) => element(index === 0 ? 'time' : 'span', text)));
        return row;
    }));
}

function element(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
}
