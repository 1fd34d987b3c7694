// A player that a test controls: headless Chromium plays a playlist with hls.js.
//
//   node watch.mjs --hls path/to/hls.min.js [--browser chromium] [--log]
//
// Standard input has one command per line: {"play":"http://…"}, {"screenshot":"file.png"}, {"end":true}. The end of the
// input also ends it. Standard output has one JSON object per line, with `at_ms` in Unix time: the reports of watch.js, and
// at the end a summary. browser.mjs ends the browser.

import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { attachToPage, startBrowser } from './browser.mjs';

const { values: options } = parseArgs({
    options: {
        hls: { type: 'string' },
        browser: { type: 'string', default: 'chromium' },
        log: { type: 'boolean', default: false },
    },
});

const summary = {
    stalls: 0, stalled_ms: 0, waiting: 0, seeks: 0, fatal: 0, errors: {}, fragments: {}, pathways: [],
};

function tell(line) {
    process.stdout.write(`${JSON.stringify({ at_ms: Date.now(), ...line })}\n`);
}

function count(line) {
    const { event } = line;
    if (event === 'stalling') summary.stalls += 1;
    if (event === 'stall') summary.stalled_ms += line.stalled_ms;
    if (event === 'fatal') summary.fatal += 1;
    if (event === 'error') summary.errors[line.details] = (summary.errors[line.details] ?? 0) + 1;
    if (event === 'pathway') summary.pathways.push(line.id);
    if (event === 'fragment') {
        const { origin } = new URL(line.url);
        summary.fragments[origin] = (summary.fragments[origin] ?? 0) + 1;
    }
    if (event === 'started') summary.started = true;
    if (event === 'video' && summary.started) {
        if (line.name === 'waiting') summary.waiting += 1;
        if (line.name === 'seeking') summary.seeks += 1;
    }
}

// Serves the page and hls.js on a free loopback port.
async function servePage() {
    const file = (name) => readFileSync(new URL(name, import.meta.url));
    const pages = {
        '/': ['text/html', file('watch.html')],
        '/watch.js': ['text/javascript', file('watch.js')],
        '/hls.js': ['text/javascript', readFileSync(options.hls)],
    };
    const server = createServer((request, response) => {
        const [type, body] = pages[request.url] ?? [];
        response.writeHead(body ? 200 : 404, { 'Content-Type': type ?? 'text/plain' });
        response.end(body);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server;
}

async function openPage(browser, url) {
    const call = await attachToPage(browser);
    const loaded = new Promise((resolve) => {
        browser.listen(({ method, params }) => {
            if (method === 'Page.loadEventFired') resolve();
            if (method === 'Runtime.exceptionThrown') {
                tell({ event: 'exception', text: params.exceptionDetails.exception?.description });
            }
            if (method === 'Runtime.bindingCalled') {
                const line = JSON.parse(params.payload);
                count(line);
                if (line.event !== 'log' || options.log) tell(line);
            }
        });
    });
    await call('Page.enable');
    await call('Runtime.enable');
    await call('Runtime.addBinding', { name: 'tell' });
    await call('Page.navigate', { url });
    await loaded;
    return call;
}

async function obey(call, command) {
    if (command.play) {
        const expression = `play(${JSON.stringify(command.play)})`;
        await call('Runtime.evaluate', { expression, userGesture: true });
        tell({ event: 'asked', url: command.play });
    }
    if (command.screenshot) {
        const { data } = await call('Page.captureScreenshot', { format: 'png' });
        writeFileSync(command.screenshot, Buffer.from(data, 'base64'));
        tell({ event: 'screenshot', file: command.screenshot });
    }
    return !command.end;
}

const server = await servePage();
const browser = startBrowser(options.browser);
try {
    const call = await openPage(browser, `http://127.0.0.1:${server.address().port}/`);
    const { product } = await browser.call('Browser.getVersion');
    tell({ event: 'ready', browser: product });
    browser.ended.then((how) => { tell({ event: 'browser', how }); process.stdin.destroy(); });
    for await (const line of createInterface({ input: process.stdin })) {
        if (!await obey(call, JSON.parse(line))) break;
    }
} finally {
    await browser.end();
    server.close();
}
tell({ event: 'summary', ...summary });
process.exit();
