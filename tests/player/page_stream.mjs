// The streams for the tests of the player page: a ladder that ffmpeg encodes once, served as a live stream of two sides and
// as a recording. The server computes the live playlists from the clock, so a test can start in the middle of a show.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';

const SEGMENT_S = 1;
const SEGMENTS = 75;
const WINDOW = 8;
const FRAMES_PER_S = 15;
const RUNGS = [
    { name: '540p', width: 960, height: 540, bits: 900_000 },
    { name: '360p', width: 640, height: 360, bits: 450_000 },
    { name: '180p', width: 320, height: 180, bits: 150_000 },
];
const TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.mjs': 'text/javascript; charset=utf-8',
    '.svg': 'image/svg+xml',
    '.txt': 'text/plain; charset=utf-8',
    '.ts': 'video/mp2t',
    '.m3u8': 'application/vnd.apple.mpegurl',
    '.json': 'application/json',
};
const SIDES = ['A', 'B'];

// Encoding takes some seconds. It is repeated only if it was interrupted.
export function encode(folder) {
    const isDone = existsSync(folder) && RUNGS.every(({ name }) => count(folder, name) >= SEGMENTS);
    if (isDone) return;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const words = "drawtext=text='%{pts\\:hms}':fontsize=56:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=14";
    const frames = String(FRAMES_PER_S * SEGMENT_S);
    const [large, middle, small] = RUNGS;
    execFileSync('ffmpeg', [
        '-hide_banner', '-nostdin', '-loglevel', 'error',
        '-f', 'lavfi', '-i', `testsrc2=size=${large.width}x${large.height}:rate=${FRAMES_PER_S}`,
        '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000', '-t', String(SEGMENTS * SEGMENT_S),
        '-filter_complex', `[0:v]${words}:x=(w-tw)/2:y=(h-th)/2,format=yuv420p,split=3[v0][b][c];`
            + `[b]scale=${middle.width}:${middle.height}[v1];[c]scale=${small.width}:${small.height}[v2]`,
        '-map', '[v0]', '-map', '1:a', '-map', '[v1]', '-map', '1:a', '-map', '[v2]', '-map', '1:a',
        '-c:v', 'libx264', '-preset', 'ultrafast', '-g', frames, '-keyint_min', frames, '-sc_threshold', '0',
        ...RUNGS.flatMap(({ bits }, index) => [`-b:v:${index}`, String(bits), `-maxrate:v:${index}`, String(bits),
            `-bufsize:v:${index}`, String(bits)]),
        '-c:a', 'aac', '-b:a', '48k',
        '-f', 'hls', '-hls_time', String(SEGMENT_S), '-hls_list_size', '0', '-start_number', '0',
        '-var_stream_map', RUNGS.map(({ name }, index) => `v:${index},a:${index},name:${name}`).join(' '),
        '-hls_segment_filename', join(folder, '%v_%d.ts'), join(folder, '%v.m3u8'),
    ], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function count(folder, name) {
    return readdirSync(folder).filter((file) => file.startsWith(`${name}_`)).length;
}

// Serves the page under /show/player/, the live pair as /show/index.m3u8, the recording as /recording/index.m3u8.
// A test can change: `first` (the first side in the steering manifest), `held` (segments get no response
// until it is false again), `broken` (a pattern of paths that are 404).
export async function serve(page, folder) {
    const began = Date.now();
    const state = { first: 'A', held: false, broken: undefined, port: 0, end };

    const server = createServer(async (request, response) => {
        const { pathname } = new URL(request.url, 'http://localhost');
        while (state.held && pathname.endsWith('.ts')) await new Promise((resolve) => setTimeout(resolve, 50));
        const body = state.broken?.test(pathname) ? undefined : answer(pathname);
        response.writeHead(body === undefined ? 404 : 200, {
            'Content-Type': TYPES[extname(pathname)] ?? 'text/plain',
            'Cache-Control': 'no-store',
        });
        response.end(body);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    state.port = server.address().port;
    return state;

    function end() {
        server.close();
        server.closeAllConnections();
    }

    function answer(path) {
        const [, place, name] = /^\/(show\/player|show|recording|side-A|side-B)\/([\w.-]+)$/.exec(path) ?? [];
        if (!name) return undefined;
        if (place === 'show/player') return file(page, name);
        if (name === 'index.m3u8') return place === 'show' ? livePair() : recording();
        if (name === 'steering.json') return steering();
        if (name.endsWith('.ts')) return file(folder, name);
        const rung = RUNGS.find((one) => name === `${one.name}.m3u8`);
        return rung && (place === 'recording' ? file(folder, name) : window(rung));
    }

    function livePair() {
        const sides = SIDES.flatMap((side) => RUNGS.flatMap((rung) => [
            `${variant(rung)},PATHWAY-ID="${side}"`, `../side-${side}/${rung.name}.m3u8`,
        ]));
        const steered = '#EXT-X-CONTENT-STEERING:SERVER-URI="steering.json",PATHWAY-ID="A"';
        return ['#EXTM3U', '#EXT-X-VERSION:6', steered, ...sides, ''].join('\n');
    }

    function recording() {
        const rungs = RUNGS.flatMap((rung) => [variant(rung), `${rung.name}.m3u8`]);
        return ['#EXTM3U', '#EXT-X-VERSION:6', ...rungs, ''].join('\n');
    }

    function variant({ width, height, bits }) {
        return `#EXT-X-STREAM-INF:BANDWIDTH=${bits + 60_000},RESOLUTION=${width}x${height},`
            + `FRAME-RATE=${FRAMES_PER_S},CODECS="avc1.42c01f,mp4a.40.2"`;
    }

    function steering() {
        const order = [state.first, ...SIDES.filter((side) => side !== state.first)];
        return JSON.stringify({ VERSION: 1, TTL: 1, 'PATHWAY-PRIORITY': order });
    }

    // Both sides have the same segments with the same numbers, as encoders with epoch locking have.
    function window({ name }) {
        const first = Math.min(Math.floor((Date.now() - began) / 1000 / SEGMENT_S), SEGMENTS - WINDOW);
        const segments = Array.from({ length: WINDOW }, (_, index) => first + index).flatMap((number) => [
            `#EXT-X-PROGRAM-DATE-TIME:${new Date(began + (number - WINDOW) * SEGMENT_S * 1000).toISOString()}`,
            `#EXTINF:${SEGMENT_S.toFixed(3)},`, `${name}_${number}.ts`,
        ]);
        const head = ['#EXTM3U', '#EXT-X-VERSION:6', `#EXT-X-TARGETDURATION:${SEGMENT_S}`];
        return [...head, `#EXT-X-MEDIA-SEQUENCE:${first}`, ...segments, ''].join('\n');
    }
}

function file(folder, name) {
    const path = join(folder, name);
    return existsSync(path) ? readFileSync(path) : undefined;
}
