// LoadShedder with the real clock: it keeps nothing alive, and threads may end at any point of a lap.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import { freshNames } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';

const { LoadShedder } = sluice;

const freshName = freshNames('shedding');
const index = new URL('../../index.js', import.meta.url).pathname;
/** What a thread needs that only sheds: thousands of them are started. */
const component = new URL('../../lib/load-shedder/index.js', import.meta.url).pathname;

/** Blocks this thread: a lap that is too long, as callbacks that compute make it. */
function block(ms) {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

const turn = () => new Promise(setImmediate);

test('waiting for events is no lap: an idle thread is not behind, a blocked one is', async () => {
  const shedding = new LoadShedder(freshName(), { targetDelay: '20ms' });
  for (let n = 0; n < 5; n++) {
    assert.equal(shedding.admit(), true);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  assert.equal(shedding.isBehind, false);
  for (let n = 0; n < 8; n++) {
    shedding.admit('exempt');
    block(25);
    await turn();
  }
  assert.equal(shedding.isBehind, true);
  assert.ok(shedding.delayMs >= 25);
  shedding.admit('exempt');
  block(25);
  assert.equal(shedding.admit('low'), false);
});

test('it keeps no process alive, and asks for nothing while nothing is asked', async () => {
  const program = `
    const { LoadShedder } = require(${JSON.stringify(index)});
    const shedding = new LoadShedder('idle', {});
    shedding.admit();
    setImmediate(() => console.log(process.getActiveResourcesInfo().includes('Timeout')));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], { timeout: 20_000 });
  assert.equal(stdout, 'false\n');
});

/** Enough for the quick suite. */
const DEATHS = Number(process.env.SLUICE_SHEDDER_DEATHS ?? 40);
const TOGETHER = 4;

test(`${DEATHS} threads that end while they ask`, { timeout: 60_000 + 1000 * DEATHS }, async () => {
  const name = freshName();
  const shedding = new LoadShedder(name, {});
  const program = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { LoadShedder } = require(${JSON.stringify(component)});
    const shedding = new LoadShedder(workerData.name);
    const go = () => { for (let n = 0; n < 20; n++) shedding.admit('low'); setImmediate(go); };
    go();
    if (workerData.how === 'throw') setTimeout(() => { throw new Error('ends'); }, 1);
    if (workerData.how === 'exit') setTimeout(() => process.exit(), 1);
    parentPort.postMessage('asks');
  `;
  const die = async (number) => {
    const how = ['terminate', 'throw', 'exit'][number % 3];
    const worker = new Worker(program, { eval: true, workerData: { name, how } });
    worker.on('error', () => {});
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    await Promise.race([new Promise((resolve) => worker.once('message', resolve)), exited]);
    if (how === 'terminate') await worker.terminate();
    await exited;
  };
  let next = 0;
  const lane = async () => {
    while (next < DEATHS) await die(next++);
  };
  await Promise.all(Array.from({ length: TOGETHER }, lane));
  assert.ok(shedding.stats().admitted.low >= 20 * DEATHS);
  // This thread has not asked.
  await until(() => shedding.stats().threads, 0);
});
