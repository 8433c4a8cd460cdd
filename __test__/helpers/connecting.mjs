/* Processes of a fleet that open connections. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import sluice from '../../index.js';
import { freshName } from './peer.mjs';

const { ConnectionTracker } = sluice;

export const CLIENT = '203.0.113.7';
export const OTHER = '203.0.113.8';

/** A scope that waits for its server. */
export const fleet = (redis, scope = {}) => ({ redis, timeout: '20s', onError: 'deny', ...scope });

/** A tracker of this process, until the test ends. */
export async function open(t, options, name = freshName()) {
  const tracker = new ConnectionTracker(name, options);
  t.after(() => ConnectionTracker.destroy(name));
  await tracker.ready({ timeout: '30s' });
  return tracker;
}

/** Bytes that a server keeps of a tracker, or of one of its clients: 24 for each process that has connections. */
export const rowsOf = (redis, name, key = 'all') => redis.number('STRLEN', `sluice:1c:{c:${name}}:${key}`);

/** Resolves once a server has so many connections: those of trackers that were destroyed end when they have said their last. */
export const connected = (redis, count) =>
  // The one that asks is among them.
  redis.until((reply) => reply.match(/^id=/gm)?.length === count + 1, 'CLIENT', 'LIST');

/** How many connections a server counts for a client of a tracker, of the only process that has any. */
export const countOf = (redis, name, client) =>
  redis.number(
    'EVAL',
    "local _, count = struct.unpack('<c8dd', redis.call('GET', KEYS[1])) return count",
    1,
    `sluice:1c:{c:${name}}:c:${client}`,
  );

const FILE = new URL('connecting-process.cjs', import.meta.url).pathname;

/** A process with a tracker. Ends with the test. */
export async function startProcess(t, task) {
  const process = new ConnectingProcess();
  t.after(() => process.kill());
  await process.call('start', task);
  return process;
}

class ConnectingProcess {
  #child = fork(FILE);
  #ended = once(this.#child, 'exit').then(([code, signal]) => ({ error: `ended with ${code ?? signal}` }));
  #pending = Promise.resolve();

  /** One call after the other. */
  call(name, ...args) {
    const made = this.#pending.then(async () => {
      this.#child.send({ call: name, args });
      const message = once(this.#child, 'message').then(([answer]) => answer);
      const { result, error } = await Promise.race([message, this.#ended]);
      if (error !== undefined) throw new Error(error);
      return result;
    });
    this.#pending = made.catch(() => {});
    return made;
  }

  async kill() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

/** Resolves once `check()` resolves to true; what it takes in ms. Bounded by the test's own timeout. */
export async function until(check) {
  const started = performance.now();
  while (!(await check())) await delay(10);
  return performance.now() - started;
}
