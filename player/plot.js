// Draws buffer and bitrate of the last minutes on a canvas.

export const MINUTES = 5;
// The time axis is shorter while a show is new.
const SPAN_AT_FIRST_S = 60;
const HEIGHT_PX = 160;
// The names of sides are above the plot, the times below it.
const MARGIN = { top: 20, right: 34, bottom: 22, left: 34 };
const TICK_PX = 70;

// `samples` has one per second, oldest first: { at, buffer, bitrate, stalled, switched }, with `at` in ms.
export function draw(canvas, samples, now) {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    // A canvas needs as many pixels as the screen, or its text is blurred.
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(HEIGHT_PX * ratio);
    const context = canvas.getContext('2d');
    context.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`);

    const right = width - MARGIN.right;
    const bottom = HEIGHT_PX - MARGIN.bottom;
    const age_s = samples.length > 0 ? (now - samples[0].at) / 1000 : 0;
    const span_s = Math.min(Math.max(age_s, SPAN_AT_FIRST_S), MINUTES * 60);
    const shown = samples.filter(({ at }) => now - at <= span_s * 1000);
    const x = (at) => right - ((now - at) / 1000 / span_s) * (right - MARGIN.left);
    const scale = (top) => (value) => bottom - (value / top) * (bottom - MARGIN.top);
    const topBuffer = niceTop(Math.max(4, ...shown.map(({ buffer }) => buffer)));
    const topBitrate = niceTop(Math.max(1e5, ...shown.map(({ bitrate }) => bitrate ?? 0)) / 1e6);
    const yBuffer = scale(topBuffer);
    const yBitrate = scale(topBitrate * 1e6);

    context.font = `11px ${style.fontFamily}`;
    context.textBaseline = 'middle';
    context.lineWidth = 1;
    for (const part of [0, 0.5, 1]) {
        const y = Math.round(bottom - part * (bottom - MARGIN.top)) + 0.5;
        context.strokeStyle = colour('line');
        line(context, [[MARGIN.left, y], [right, y]]);
        context.fillStyle = colour('buffer-text');
        context.textAlign = 'right';
        context.fillText(short(topBuffer * part), MARGIN.left - 6, y);
        if (!shown.some(({ bitrate }) => bitrate)) continue;
        context.fillStyle = colour('bitrate-text');
        context.textAlign = 'left';
        context.fillText(short(topBitrate * part), right + 6, y);
    }
    context.fillStyle = colour('muted');
    context.textAlign = 'center';
    const most = (right - MARGIN.left) / TICK_PX;
    const step_s = [15, 30, 60, 120].find((step) => span_s / step <= most) ?? 300;
    for (let back_s = 0; back_s <= span_s; back_s += step_s) {
        context.fillText(ago(back_s), x(now - back_s * 1000), HEIGHT_PX - 8);
    }

    context.fillStyle = colour('stall');
    for (const { at } of shown.filter(({ stalled }) => stalled)) {
        const from = x(at - 1000);
        context.fillRect(from, MARGIN.top, Math.max(1, x(at) - from), bottom - MARGIN.top);
    }
    if (shown.length > 1) {
        const points = shown.map(({ at, buffer }) => [x(at), yBuffer(buffer)]);
        context.fillStyle = colour('buffer-area');
        context.beginPath();
        context.moveTo(points[0][0], bottom);
        for (const [left, y] of points) context.lineTo(left, y);
        context.lineTo(points.at(-1)[0], bottom);
        context.fill();
        context.strokeStyle = colour('buffer');
        context.lineWidth = 1.5;
        line(context, points);
    }
    context.strokeStyle = colour('bitrate');
    context.lineWidth = 2;
    // A step line: a rendition has its bitrate until the next one is on screen.
    const steps = [];
    for (const { at, bitrate } of shown.filter((sample) => sample.bitrate)) {
        const y = yBitrate(bitrate);
        if (steps.length > 0) steps.push([x(at), steps.at(-1)[1]]);
        steps.push([x(at), y]);
    }
    line(context, steps);

    context.lineWidth = 1;
    context.strokeStyle = colour('text');
    context.fillStyle = colour('text');
    context.textAlign = 'center';
    for (const { at, switched } of shown.filter((sample) => sample.switched)) {
        const left = Math.round(x(at)) + 0.5;
        context.setLineDash([3, 3]);
        line(context, [[left, MARGIN.top], [left, bottom]]);
        context.setLineDash([]);
        context.fillText(switched, left, MARGIN.top - 10);
    }
}

// The same as text, for screen readers.
export function inWords(samples) {
    if (samples.length === 0) return 'Nothing to show yet';
    const buffers = samples.map(({ buffer }) => buffer);
    const stalled = samples.filter((sample) => sample.stalled).length;
    return `Buffer between ${Math.min(...buffers).toFixed(1)} and ${Math.max(...buffers).toFixed(1)} seconds, `
        + `stalled in ${stalled} of ${samples.length} seconds`;
}

function line(context, points) {
    context.beginPath();
    for (const [left, y] of points) context.lineTo(left, y);
    context.stroke();
}

// 1, 2 or 5 times a power of ten, or 3 or 4 of them, so that the axis ends shortly above the values.
function niceTop(value) {
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 3, 4, 5, 10].find((step) => step * power >= value) * power;
}

function ago(back_s) {
    if (back_s === 0) return 'now';
    return back_s % 60 === 0 ? `−${back_s / 60} min` : `−${back_s} s`;
}

function short(value) {
    return String(Number(value.toPrecision(2)));
}
