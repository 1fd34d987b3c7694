// A viewer that a test can steer: headless Chromium plays a playlist with hls.js.
//
//   node watch.mjs --hls path/to/hls.min.js [--browser chromium] [--log]
//
// Standard input takes one command a line: {"play":"http://…"}, {"screenshot":"file.png"}, {"end":true}; its end is
// an end, too. Standard output has one JSON object a line, with `at_ms` in Unix time: what watch.js tells, and at
// last a summary. The browser ends when this process does, however that comes about: it reads its commands from a
// pipe.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
    options: {
        hls: { type: 'string' },
        browser: { type: 'string', default: 'chromium' },
        log: { type: 'boolean', default: false },
    },
});

// A browser that has been told to end and has not is killed after this time.
const END_MS = 5_000;
const ANSWER_MS = 30_000;

const FLAGS = [
    '--headless',
    '--remote-debugging-pipe',
    // Only pages of this folder and streams of this machine are opened, and root may not have the sandbox.
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--autoplay-policy=no-user-gesture-required',
    '--mute-audio',
    '--no-first-run',
    '--no-default-browser-check',
    '--window-size=640,500',
    // Nothing beyond this machine is asked for, not even by the browser itself.
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-default-apps',
    '--disable-extensions',
    '--disable-sync',
    '--no-proxy-server',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
];

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

// The page and hls.js, on a free loopback port.
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

// The browser, with `call` for commands of the Chrome DevTools Protocol and `listen` for its events. Messages on the
// pipe end with a zero byte.
function startBrowser(profile) {
    const flags = [...FLAGS, `--user-data-dir=${profile}`, 'about:blank'];
    const child = spawn(options.browser, flags, { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (text) => { stderr = (stderr + text).slice(-4_000); });
    const [, , , commands, answers] = child.stdio;
    commands.on('error', () => {});

    const waiting = new Map();
    let listener = () => {};
    let rest = Buffer.alloc(0);
    answers.on('data', (bytes) => {
        rest = Buffer.concat([rest, bytes]);
        for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
            const message = JSON.parse(rest.subarray(0, end).toString());
            rest = rest.subarray(end + 1);
            const call = waiting.get(message.id);
            if (!call) {
                listener(message);
            } else if (message.error) {
                call.reject(new Error(`${call.method}: ${message.error.message}`));
            } else {
                call.resolve(message.result);
            }
            waiting.delete(message.id);
        }
    });
    const fail = (why) => {
        for (const { reject } of waiting.values()) reject(new Error(`${options.browser}: ${why}\n${stderr}`));
        waiting.clear();
    };
    const ended = new Promise((resolve) => {
        child.on('error', (error) => { fail(error.message); resolve(error.message); });
        child.on('exit', (code, signal) => { fail('has ended'); resolve(`ended: ${code ?? signal}`); });
    });

    let id = 0;
    const call = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
        id += 1;
        const late = setTimeout(() => reject(new Error(`${method}: no answer\n${stderr}`)), ANSWER_MS);
        const done = (then) => (value) => { clearTimeout(late); then(value); };
        waiting.set(id, { method, resolve: done(resolve), reject: done(reject) });
        commands.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
    const end = async () => {
        commands.end();
        const kill = setTimeout(() => child.kill('SIGKILL'), END_MS);
        await ended;
        clearTimeout(kill);
    };
    return { call, end, ended, listen: (to) => { listener = to; } };
}

async function openPage(browser, url) {
    const { targetInfos } = await browser.call('Target.getTargets');
    const { targetId } = targetInfos.find(({ type }) => type === 'page');
    const { sessionId } = await browser.call('Target.attachToTarget', { targetId, flatten: true });
    const call = (method, params) => browser.call(method, params, sessionId);
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

const profile = mkdtempSync(join(tmpdir(), 'onair-player-'));
const server = await servePage();
const browser = startBrowser(profile);
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
    rmSync(profile, { recursive: true, force: true });
}
tell({ event: 'summary', ...summary });
process.exit();
