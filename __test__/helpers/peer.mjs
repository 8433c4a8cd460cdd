// Peers: threads in which a test runs functions, and the gate at which they start together.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const FILE = new URL('peer-worker.cjs', import.meta.url);

/**
 * A worker thread in which `run(body, data)` runs functions. They are sent as text, so they can use only their two
 * arguments: `{ load, meet, require, state }` and `data`. `load()` returns the package, `meet` waits at a gate, `state`
 * is kept between calls.
 */
export class Peer {
  #worker;
  #pending = new Map();
  #nextId = 1;

  constructor(options) {
    this.#worker = new Worker(FILE, options);
    this.#worker.on('message', ({ id, value, error }) => {
      const { resolve, reject } = this.#pending.get(id);
      this.#pending.delete(id);
      if (error === undefined) resolve(value);
      else reject(Object.assign(new Error(error.message), error));
    });
    // A thread that fails before its first answer has not started, and answers nothing.
    const fail = (error) => {
      for (const { reject } of this.#pending.values()) reject(error);
    };
    this.#worker.once('error', fail).once('message', () => this.#worker.off('error', fail));
    this.exited = once(this.#worker, 'exit');
  }

  get threadId() {
    return this.#worker.threadId;
  }

  /** Resolves with the result of `body(local, data)` in the thread. Errors have name, code and message. */
  run(body, data) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ id, body: String(body), data });
    });
  }

  async end() {
    await this.#worker.terminate();
  }
}

/** `count` peers until the test ends. */
export function startPeers(t, count, options) {
  const peers = Array.from({ length: count }, () => new Peer(options));
  t.after(() => Promise.all(peers.map((peer) => peer.end())));
  return peers;
}

/** Runs one function in every peer. Resolves with the results in order. */
export function runInAll(peers, body, data) {
  return Promise.all(peers.map((peer) => peer.run(body, data)));
}

/** A gate at which `count` threads `meet`. */
export function gate(count) {
  const words = new Int32Array(new SharedArrayBuffer(8));
  return { words, count };
}

/** A unique name. */
export function freshName() {
  return `test-${randomUUID()}`;
}
