// A broker that spawns groups of workers. Records their events and asserts that no thread is left when a test ends.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import { freshName } from './peer.mjs';

const { Broker } = sluice;

/** The worker file that `open` spawns. */
export const FILE = fileURLToPath(new URL('spawned-worker.cjs', import.meta.url));

/** Workers that have ended: Deno may emit 'worker' after the 'exit' of one that ends at once. */
const ended = new WeakSet();
const { emit } = Worker.prototype;
Worker.prototype.emit = function (event, ...args) {
  if (event === 'exit') ended.add(this);
  return emit.call(this, event, ...args);
};

/** Threads of this process that have started and not ended. */
export let threads = 0;
process.on('worker', (worker) => {
  if (ended.has(worker)) return;
  threads += 1;
  worker.once('exit', () => {
    threads -= 1;
  });
});

/** A broker that closes with the test, and all its groups with it. */
export function open(t) {
  const name = freshName();
  const broker = new Broker(name);
  t.after(async () => {
    await broker.close({ timeout: 0 });
    assert.equal(threads, 0, 'no thread is left');
  });
  const spawn = ({ data, ...options } = {}) =>
    broker.spawn(FILE, { workerData: { name, ...data }, ...options });
  return { name, broker, spawn };
}

export { manualClock as stopClock } from './setup.mjs';

/** Records all events of the group, in order. */
export function record(group) {
  const emitted = [];
  for (const event of ['start', 'exit', 'restart', 'failed']) {
    group.on(event, (what) => emitted.push({ event, what }));
  }
  return { emitted, of: (event) => emitted.filter((one) => one.event === event).map(({ what }) => what) };
}

export const next = (group, event) => new Promise((resolve) => group.once(event, resolve));

/** Makes a worker end itself in the given way. */
export function end(broker, { peerId }, way) {
  broker.call('end', way, { to: peerId }).catch(() => {});
}
