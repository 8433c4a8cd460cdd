// HitCounter over threads: exact totals under contention, and threads that end at any line.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import { freshNames } from '../helpers/setup.mjs';

const { HitCounter } = sluice;
const freshName = freshNames('hit-threads');

const THREADS = 8;
const HITS = 5_000;

/** Runs the same code in each thread: `hits` is the counter, `count` how often to count. */
function threads(name, code) {
  const source = `
    const { parentPort, workerData: { name, count } } = require('node:worker_threads');
    const { HitCounter } = require(${JSON.stringify(new URL('../../index.js', import.meta.url).pathname)});
    const hits = new HitCounter(name);
    parentPort.postMessage((() => { ${code} })());`;
  return Array.from(
    { length: THREADS },
    () => new Worker(source, { eval: true, workerData: { name, count: HITS } }),
  );
}

const results = (workers) => Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));

test('eight threads count each hit once: the highest count is their number', async () => {
  const name = freshName();
  const hits = new HitCounter(name, { maxKeys: 100 });
  const code = `
    const seen = [];
    for (let i = 0; i < count; i++) seen.push(hits.add('key', 1, 3_600_000).count);
    return seen;`;
  const seen = (await results(threads(name, code))).flat().sort((a, b) => a - b);
  assert.deepEqual(
    seen,
    Array.from({ length: THREADS * HITS }, (_, index) => index + 1),
  );
  assert.equal(hits.get('key').count, THREADS * HITS);
});

test('one hit of all threads crosses the limit, and one begins each window', async () => {
  const name = freshName();
  const hits = new HitCounter(name, { maxKeys: 100 });
  const code = `
    const rule = { above: 100, windowMs: 7_200_000, once: true };
    let began = 0;
    for (let i = 0; i < count; i++) began += hits.add('key', 1, 3_600_000, rule).first ? 1 : 0;
    return began;`;
  const began = (await results(threads(name, code))).reduce((sum, each) => sum + each, 0);
  assert.equal(began, 2, 'the first window, and the one above the limit');
  assert.equal(hits.get('key').count, THREADS * HITS);
});

test('hits, negative hits and hits taken back add up', async () => {
  const name = freshName();
  const hits = new HitCounter(name, { maxKeys: 100 });
  hits.add('key', 1_000_000, 3_600_000);
  const code = `
    for (let i = 0; i < count; i++) {
      hits.add('key', 3, 1);
      hits.add('key', -1, 1);
      hits.takeBack('key', 1);
    }`;
  await results(threads(name, code));
  assert.equal(hits.get('key').count, 1_000_000 + THREADS * HITS);
});

test('threads that are terminated while they count leave a counter that counts', async () => {
  const name = freshName();
  const hits = new HitCounter(name, { maxKeys: 16 });
  const code = 'for (let i = 0; ; i++) hits.add(String(i % 64), 1, 10_000 + (i % 7));';
  for (let round = 0; round < 5; round++) {
    const workers = threads(name, code);
    await Promise.all(workers.map((worker) => once(worker, 'online')));
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  hits.clear();
  assert.equal(hits.size, 0);
  for (let i = 1; i <= 100; i++) assert.equal(hits.add('key', 1, 60_000).count, i);
});
