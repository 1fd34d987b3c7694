// Headless Chromium for the tests of players. It exits with this process, however that ends, because
// it reads its commands from a pipe.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// A browser that does not exit is killed after this time.
const END_MS = 5_000;
const ANSWER_MS = 30_000;

const FLAGS = [
    '--headless',
    '--remote-debugging-pipe',
    // Only pages of this folder and local streams are opened, and root cannot use the sandbox.
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--autoplay-policy=no-user-gesture-required',
    '--mute-audio',
    '--no-first-run',
    '--no-default-browser-check',
    '--window-size=640,500',
    // The browser must not send a request beyond this machine.
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-default-apps',
    '--disable-extensions',
    '--disable-sync',
    '--no-proxy-server',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
];

// The browser, with `call` for commands of the Chrome DevTools Protocol and `listen` for its events. Messages on the
// pipe end with a zero byte.
export function startBrowser(command = 'chromium') {
    const profile = mkdtempSync(join(tmpdir(), 'onair-player-'));
    const flags = [...FLAGS, `--user-data-dir=${profile}`, 'about:blank'];
    const child = spawn(command, flags, { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
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
        for (const { reject } of waiting.values()) reject(new Error(`${command}: ${why}\n${stderr}`));
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
        rmSync(profile, { recursive: true, force: true });
    };
    return { call, end, ended, listen: (to) => { listener = to; } };
}

// Commands for the first page of a browser.
export async function attachToPage(browser) {
    const { targetInfos } = await browser.call('Target.getTargets');
    const { targetId } = targetInfos.find(({ type }) => type === 'page');
    const { sessionId } = await browser.call('Target.attachToTarget', { targetId, flatten: true });
    return (method, params) => browser.call(method, params, sessionId);
}
