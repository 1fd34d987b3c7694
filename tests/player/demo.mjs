// Tests `make demo SERVE=1` in headless Chromium:
//
//   node tests/player/demo.mjs target/debug/demo
//
// Writes a screenshot into target/player-page-test. Exits within LIMIT_MS.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { attachToPage, startBrowser } from './browser.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = join(ROOT, 'target/player-page');
const RESULTS = join(ROOT, 'target/player-page-test');
const DEMO = resolve(process.argv[2] ?? join(ROOT, 'target/debug/demo'));
// The test takes less than half of this on an idle machine.
const LIMIT_MS = 120_000;
const WAIT_MS = 20_000;
// The time after the first picture in which the viewer must not notice anything.
const WATCHED_S = 14;
// The demo stops at once; a busy machine may need a moment.
const END_MS = 5_000;

const folder = mkdtempSync(join(tmpdir(), 'onair-served-'));
const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

// The running demo, its output and the processes that it names. It is killed at the end if needed.
const started = [];
function startDemo() {
    const child = spawn(DEMO, ['--serve', PAGE], {
        env: { ...process.env, TMPDIR: folder }, stdio: ['ignore', 'pipe', 'inherit'],
    });
    const demo = { child, said: '', ended: undefined };
    demo.gone = new Promise((done) => {
        child.on('error', (error) => { demo.ended = error.message; done(); });
        child.on('exit', (code, signal) => { demo.ended = code ?? signal; done(); });
    });
    child.stdout.on('data', (text) => { demo.said += text; });
    demo.find = async (pattern) => {
        await until(`the demo says ${pattern}`, () => {
            assert.equal(demo.ended, undefined, `the demo has ended: ${demo.said}`);
            return pattern.test(demo.said);
        });
        return pattern.exec(demo.said)[1];
    };
    started.push(demo);
    return demo;
}

async function until(what, isSo, limit_ms = WAIT_MS) {
    for (const from = performance.now(); !(await isSo()); await sleep(50)) {
        assert.ok(performance.now() - from < limit_ms, `${what}: not within ${limit_ms / 1000} s`);
    }
}

function runs(id) {
    try {
        return process.kill(id, 0);
    } catch {
        return false;
    }
}

async function isGone(demo, ids) {
    await Promise.race([demo.gone, sleep(END_MS)]);
    assert.notEqual(demo.ended, undefined, 'the demo does not end');
    await until('what it started has ended', () => !ids.some(runs), END_MS);
}

const browser = startBrowser();
const late = setTimeout(() => {
    console.error(`not done after ${LIMIT_MS / 1000} s`);
    end().finally(() => process.exit(1));
}, LIMIT_MS);

async function end() {
    clearTimeout(late);
    for (const { child } of started) child.kill('SIGKILL');
    await browser.end();
    rmSync(folder, { recursive: true, force: true });
}

async function stories() {
    const complaints = [];
    const call = await attachToPage(browser);
    browser.listen(({ method, params }) => {
        if (method === 'Runtime.exceptionThrown') complaints.push(params.exceptionDetails.exception?.description);
        if (method === 'Log.entryAdded') complaints.push(`${params.entry.text} ${params.entry.url ?? ''}`);
    });
    for (const domain of ['Page', 'Runtime', 'Log']) await call(`${domain}.enable`);
    await call('Emulation.setDeviceMetricsOverride', { width: 1280, height: 860, deviceScaleFactor: 1, mobile: false });
    const evaluate = async (expression) =>
        (await call('Runtime.evaluate', { expression, returnByValue: true })).result.value;
    const read = (id) => evaluate(`document.getElementById('${id}')?.innerText`);

    const from = performance.now();
    const demo = startDemo();
    const address = await demo.find(/^ +(http:\/\/127\.0\.0\.1:\d+\/\S+)\n/m);
    const publisher = Number(await demo.find(/kill -9 (\d+) +# publish-live/));
    const encoder = Number(await demo.find(/kill -9 (\d+) +# ffmpeg/));
    await call('Page.navigate', { url: address });
    await until('a moving picture', async () => /^Live in 360p$/.test(await read('status')));
    console.log(`✓ it plays ${((performance.now() - from) / 1000).toFixed(1)} s after the start`);

    const position = 'document.getElementById("video").currentTime';
    const [began, beganAt] = [await evaluate(position), performance.now()];
    await sleep(WATCHED_S * 300);
    process.kill(publisher, 'SIGKILL');
    const successor = Number(await demo.find(/publish-live was killed and restarted as process (\d+)/));
    await sleep(WATCHED_S * 700);
    const [played, passed] = [await evaluate(position) - began, (performance.now() - beganAt) / 1000];
    const { data } = await call('Page.captureScreenshot', { format: 'png' });
    writeFileSync(join(RESULTS, 'demo.png'), Buffer.from(data, 'base64'));
    assert.equal(await read('stalls'), '0');
    assert.match(await read('status'), /^Live in 360p$/);
    assert.ok(Math.abs(played - passed) < 1, `${played} s were played in ${passed} s`);
    assert.deepEqual(complaints, []);
    console.log(`✓ ${played.toFixed(1)} s were played without a stall, the daemon being killed meanwhile`);

    const playlist = new URL(new URL(address).searchParams.get('src'), address);
    const { status, headers } = await fetch(playlist, { headers: { Origin: 'http://elsewhere.example' } });
    const told = ['content-type', 'cache-control', 'access-control-allow-origin'].map((name) => headers.get(name));
    assert.deepEqual([status, ...told], [200, 'application/vnd.apple.mpegurl', 'max-age=1', '*']);
    console.log('✓ a page of another origin may read the playlist, and caches keep it for a second');

    process.kill(encoder, 'SIGKILL');
    const second = Number(await demo.find(/ffmpeg was killed and restarted as process (\d+)/));
    const media = new URL('360p/index.m3u8', playlist);
    await until('a discontinuity', async () => (await (await fetch(media)).text()).includes('#EXT-X-DISCONTINUITY\n'));
    const [seam, seamAt] = [await evaluate(position), performance.now()];
    await until('the picture continues', async () => await evaluate(position) > seam + 6);
    console.log(`✓ ffmpeg is killed, and the picture continues: 6 s more of it after `
        + `${((performance.now() - seamAt) / 1000).toFixed(1)} s, ${await read('stalls')} stalls`);

    demo.child.kill('SIGINT');
    await isGone(demo, [publisher, successor, encoder, second]);
    assert.equal(demo.ended, 0);
    assert.deepEqual(readdirSync(folder), []);
    console.log('✓ Ctrl-C ends it and all that it started, and no folder is left');

    const killed = startDemo();
    const ids = [
        Number(await killed.find(/kill -9 (\d+) +# publish-live/)),
        Number(await killed.find(/kill -9 (\d+) +# ffmpeg/)),
    ];
    killed.child.kill('SIGKILL');
    await isGone(killed, ids);
    console.log('✓ killed itself, it leaves nothing running');
}

let failed = false;
mkdirSync(RESULTS, { recursive: true });
try {
    await stories();
} catch (error) {
    failed = true;
    console.error(error);
} finally {
    await end();
}
process.exit(failed ? 1 : 0);
