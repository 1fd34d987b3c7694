// The player page (player/) in headless Chromium, on a stream of two sides:
//
//   node tests/player/page.mjs
//
// Writes screenshots into target/player-page-test. Exits within LIMIT_MS.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { attachToPage, startBrowser } from './browser.mjs';
import { encode, serve } from './page_stream.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = join(ROOT, 'target/player-page');
const RESULTS = join(ROOT, 'target/player-page-test');
// The test takes less than half of this on an idle machine. Encoding takes some seconds, is done once, and is
// not included.
const LIMIT_MS = 60_000;
const WAIT_MS = 15_000;
// The size of touch targets: WCAG 2.2, target size (enhanced).
const TOUCH_PX = 44;
const DESK = { width: 1280, height: 860, deviceScaleFactor: 1, mobile: false };
const PHONE = { width: 390, height: 844, deviceScaleFactor: 2, mobile: true };
const SMALL_PHONE = { width: 320, height: 568, deviceScaleFactor: 2, mobile: true };

mkdirSync(RESULTS, { recursive: true });
encode(join(RESULTS, 'stream'));
const began = performance.now();
const server = await serve(PAGE, join(RESULTS, 'stream'));
const site = `http://127.0.0.1:${server.port}`;
const player = `${site}/show/player/index.html`;
const browser = startBrowser();
const late = setTimeout(() => {
    console.error(`not done after ${LIMIT_MS / 1000} s`);
    browser.end().finally(() => process.exit(1));
}, LIMIT_MS);

// Reports of the browser that must not occur: exceptions, dialogs, violations of the Content-Security-Policy.
const complaints = [];
const asked = [];
let loaded;
const call = await attachToPage(browser);
browser.listen(({ method, params }) => {
    if (method === 'Page.loadEventFired') loaded?.();
    if (method === 'Runtime.exceptionThrown') complaints.push(params.exceptionDetails.exception?.description);
    if (method === 'Log.entryAdded' && params.entry.source !== 'network') complaints.push(params.entry.text);
    if (method === 'Network.requestWillBeSent') asked.push(params.request.url);
    if (method === 'Page.javascriptDialogOpening') {
        complaints.push(`dialog: ${params.message}`);
        call('Page.handleJavaScriptDialog', { accept: false });
    }
});
for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await call(`${domain}.enable`);

async function evaluate(expression) {
    const { result, exceptionDetails } = await call('Runtime.evaluate', { expression, returnByValue: true });
    assert.equal(exceptionDetails, undefined, `${expression}: ${exceptionDetails?.exception?.description}`);
    return result.value;
}

async function open(url) {
    const done = new Promise((resolve) => { loaded = resolve; });
    await call('Page.navigate', { url });
    await done;
}

// The visible text of the page.
const read = (id) => evaluate(`document.getElementById('${id}').innerText`);
const rows = (id) => evaluate(`[...document.querySelectorAll('#${id} li')].map((row) => row.innerText)`);

async function until(what, isSo, limit_ms = WAIT_MS) {
    const from = performance.now();
    for (;;) {
        const seen = await isSo();
        if (seen) return seen;
        if (performance.now() - from > limit_ms) {
            await screenshot('failed');
            assert.fail(`${what}: not after ${limit_ms / 1000} s; ${await evaluate('document.body.innerText')}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
}

const untilReads = (id, pattern) => until(`#${id} reads ${pattern}`, async () => pattern.exec(await read(id)));

async function screenshot(name) {
    const { cssContentSize: { height } } = await call('Page.getLayoutMetrics');
    const width = await evaluate('innerWidth');
    const clip = { x: 0, y: 0, width, height, scale: 1 };
    const { data } = await call('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true, clip });
    writeFileSync(join(RESULTS, `${name}.png`), Buffer.from(data, 'base64'));
}

const device = (size) => call('Emulation.setDeviceMetricsOverride', size);
const scheme = (value) => call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });

async function press(key, code, text) {
    const named = { key, code: key === ' ' ? 'Space' : key, windowsVirtualKeyCode: code, text };
    await call('Input.dispatchKeyEvent', { type: text ? 'keyDown' : 'rawKeyDown', ...named });
    await call('Input.dispatchKeyEvent', { type: 'keyUp', ...named });
}

async function story(name, tell) {
    const from = performance.now();
    await tell();
    console.log(`✓ ${name} (${((performance.now() - from) / 1000).toFixed(1)} s)`);
}

// Nothing is outside of the screen, and all touch targets are large enough.
async function fits({ width }) {
    const breaches = await evaluate(`(() => {
        const over = [...document.querySelectorAll('body *')].filter((one) => one.clientWidth > 1
            && one.getBoundingClientRect().right > ${width} + 0.5);
        const small = [...document.querySelectorAll('#source input, #source button, #ladder label')]
            .filter((one) => one.getBoundingClientRect().height < ${TOUCH_PX});
        return [...over, ...small].map((one) => one.outerHTML.slice(0, 120));
    })()`);
    assert.deepEqual(breaches, []);
    assert.ok(await evaluate('document.documentElement.scrollWidth') <= width, 'the page scrolls sideways');
}

async function stories() {
    // Promise P92.
    await story('without an address it plays the playlist one folder above, and shows its address', async () => {
        await device(DESK);
        await scheme('light');
        await open(player);
        await untilReads('status', /^Live in \d+p from side A$/);
        assert.equal(await evaluate("document.getElementById('src').value"), `${site}/show/index.m3u8`);
        assert.equal(await read('side'), 'A');
        assert.equal(await read('side-note'), `127.0.0.1:${server.port}`);
        await untilReads('rendition', /^540p$/);
        assert.match(await read('rendition-note'), /^960×540 · 960 kbit\/s · avc1, mp4a$/);
        const [, latency] = await untilReads('latency', /^(\d+\.\d) s$/);
        assert.ok(latency > 0.5 && latency < 12, `${latency} s`);
        assert.match(await read('latency-note'), /^since encoded; \d+\.\d s behind the live edge$/);
        await untilReads('dropped', /^\d+$/);
        assert.equal(await read('stalls'), '0');
    });

    await story('the buffer is the one that the browser has, and moves', async () => {
        const seen = new Set();
        await until('two figures', async () => seen.add(await read('buffer')).size >= 2);
        for (const text of seen) assert.match(text, /^\d+\.\d s$/);
    });

    await story('a rendition is chosen by keyboard, and automatic again', async () => {
        const names = "[...document.querySelectorAll('#ladder b')].map((one) => one.innerText)";
        assert.deepEqual(await evaluate(names), ['Automatic', '540p', '360p', '180p']);
        const chosen = "document.querySelector('#ladder :checked').parentElement.innerText";
        const focused = "document.activeElement.name ?? ''";
        await until('the ladder by Tab', async () => {
            await press('Tab', 9);
            return await evaluate(focused) === 'rendition';
        });
        // Automatic is first. One step up from it is the last one, 180p.
        await press('ArrowUp', 38);
        await untilReads('rendition', /^180p$/);
        assert.match(await evaluate(chosen), /^180p\s.*on screen$/s);
        await press('ArrowDown', 40);
        assert.match(await evaluate(chosen), /^Automatic\s/);
    });

    await story('the steering manifest moves it to the other side, and the history shows the time', async () => {
        server.first = 'B';
        await untilReads('side', /^B$/);
        await untilReads('rendition', /^540p$/);
        const [latest, first] = await until('two sides', async () => {
            const sides = await rows('history');
            return sides.length === 2 && sides;
        });
        assert.match(latest, /^\d\d:\d\d:\d\d\s+B\s+127\.0\.0\.1:\d+\s+\d+ s$/);
        assert.match(first, /^\d\d:\d\d:\d\d\s+A\s/);
        assert.match(await read('status'), /from side B$/);
    });

    // Promise P92.
    await story('missing segments are a stall, counted and timed, and it continues', async () => {
        server.held = true;
        await untilReads('status', /^Stalled/);
        await untilReads('stalls', /^1$/);
        await new Promise((resolve) => setTimeout(resolve, 1_200));
        server.held = false;
        await untilReads('status', /^Live/);
        const [, total] = /^(\d+\.\d) s in all$/.exec(await read('stalls-note')) ?? [];
        assert.ok(total >= 1 && total < 8, `${total} s`);
    });

    // Promise P92.
    await story('what is missing is told in words', async () => {
        server.broken = /540p_\d+\.ts$/;
        await until('an error', async () => (await rows('errors')).some((row) => row.includes('404')));
        server.broken = undefined;
        const [row] = (await rows('errors')).filter((one) => one.includes('404'));
        assert.match(row, /A segment could not be loaded: 404, 127\.0\.0\.1:\d+ …\/540p_\d+\.ts/);
        await untilReads('status', /^Live/);
    });

    // Promise P92.
    await story('it fits on a desk and on phones, in light and dark', async () => {
        for (const [name, size] of Object.entries({ desk: DESK, phone: PHONE, 'small-phone': SMALL_PHONE })) {
            await device(size);
            for (const value of ['light', 'dark']) {
                await scheme(value);
                await new Promise((resolve) => setTimeout(resolve, 250));
                await fits(size);
                await screenshot(`${name}-${value}`);
            }
        }
        await device(DESK);
        await scheme('light');
    });

    // Promise P92.
    await story('a recording is told as one', async () => {
        await open(`${player}?src=${encodeURIComponent('/recording/index.m3u8')}`);
        await untilReads('status', /^Playing in \d+p$/);
        assert.equal(await read('side'), 'Only one');
        assert.equal(await read('latency'), 'Recorded');
        assert.match(await read('latency-note'), /^at \d+ s of 1 min 15 s$/);
    });

    // Promise P92.
    await story('a playlist that is not there is asked for again until it is', async () => {
        server.broken = /index\.m3u8$/;
        await open(player);
        await untilReads('status', /^The playlist could not be loaded: 404, .*Trying again in 3 s$/);
        server.broken = undefined;
        await untilReads('status', /^Live/);
    });

    // Promise P93.
    await story('an address of another scheme plays nothing', async () => {
        for (const hostile of ['javascript:alert(1)', ' JaVaScRiPt:alert(1)', 'java\nscript:alert(1)', 'http://[',
            'data:text/html,<script>alert(1)</script>', `blob:${site}/1`, 'file:///etc/passwd']) {
            await open(`${player}?src=${encodeURIComponent(hostile)}`);
            await untilReads('status', /^(Only http and https are played|This is not a URL)/);
            assert.equal(await evaluate("document.getElementById('video').currentSrc"), '');
            const shown = hostile.trim().replaceAll('\n', '');
            assert.equal(await evaluate("document.getElementById('src').value"), shown);
        }
    });

    // Promise P93.
    await story('markup in an address stays text', async () => {
        for (const hostile of ['<img src=x onerror=alert(1)>', '"><script>alert(1)</script>',
            `${site}/<svg onload=alert(1)>.m3u8`]) {
            await open(`${player}?src=${encodeURIComponent(hostile)}#${hostile}`);
            await untilReads('status', /^The playlist could not be loaded: 404/);
            assert.equal(await evaluate("document.getElementById('src').value"), hostile);
            const inserted = "document.querySelectorAll('main img, main svg, main script, [onerror], [onload]').length";
            assert.equal(await evaluate(inserted), 0);
        }
        const sinks = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b/;
        for (const name of readdirSync(join(ROOT, 'player')).filter((one) => /\.(js|html)$/.test(one))) {
            assert.doesNotMatch(readFileSync(join(ROOT, 'player', name), 'utf8'), sinks, name);
        }
    });

    await story('without Media Source Extensions it takes what the browser has', async () => {
        const source = 'delete window.MediaSource; delete window.ManagedMediaSource; delete window.WebKitMediaSource';
        const { identifier } = await call('Page.addScriptToEvaluateOnNewDocument', { source });
        await open(player);
        if (await evaluate("document.createElement('video').canPlayType('application/vnd.apple.mpegurl')")) {
            await untilReads('engine', /browser's own HLS/);
            await untilReads('status', /^(Live|Playing) in \d+p$/);
            await untilReads('buffer', /^\d+\.\d s$/);
            assert.equal(await read('side'), '–');
            await screenshot('own-hls');
        } else {
            await untilReads('status', /^This browser cannot play HLS/);
        }
        await call('Page.removeScriptToEvaluateOnNewDocument', { identifier });
    });

    // Promise P93.
    await story('nothing was asked of another place, and the browser had nothing to complain of', async () => {
        // Chromium draws the controls of the video with data: URLs.
        const elsewhere = asked.filter((url) => !/^data:|^blob:/.test(url) && !url.startsWith(`${site}/`));
        assert.deepEqual(elsewhere, []);
        assert.deepEqual(complaints, []);
    });
}

let failed = false;
try {
    await stories();
} catch (error) {
    failed = true;
    console.error(error);
} finally {
    clearTimeout(late);
    await browser.end();
    server.end();
}
console.log(`player page: ${failed ? 'failed' : 'passed'} after ${((performance.now() - began) / 1000).toFixed(1)} s`);
process.exit(failed ? 1 : 0);
