// Processes that share limits by a directory in memory, which goes with the test.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';

const FILE = new URL('machine-process.cjs', import.meta.url);

/** For tests that only run where processes share state. */
export const onLinux = { skip: process.platform === 'linux' ? false : 'processes share state on Linux only' };

/** A directory in memory. */
export function sharedDirectory(t) {
  const directory = mkdtempSync('/dev/shm/sluice-test-');
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** The names of the files in it. */
export function filesIn(directory) {
  return readdirSync(directory).sort();
}

/**
 * A process in which `run(body, data)` runs functions. They are sent as text, so they can use only their two arguments:
 * `{ load, require, state }` and `data`. `load()` returns the package, `state` is kept between calls.
 */
export class ProcessPeer {
  #child;
  #pending = new Map();
  #nextId = 1;

  constructor() {
    this.#child = fork(FILE, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.exited = once(this.#child, 'exit');
    this.#child.on('message', ({ id, value, error }) => {
      const { resolve, reject } = this.#pending.get(id);
      this.#pending.delete(id);
      if (error === undefined) resolve(value);
      else reject(Object.assign(new Error(error.message), error));
    });
    this.exited.then(([code, signal]) => {
      for (const { reject } of this.#pending.values()) reject(new Error(`ended: ${code ?? signal}`));
    });
  }

  get pid() {
    return this.#child.pid;
  }

  /** Resolves with the result of `body(local, data)` in the process. Errors have message and code. */
  run(body, data) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#child.send({ id, body: String(body), data });
    });
  }

  /** Ends the process at any instruction. */
  async kill() {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  /** Lets the process end by itself. */
  async end() {
    if (this.#child.connected) this.#child.disconnect();
    await this.exited;
  }
}

/** `count` processes until the test ends. */
export function startProcesses(t, count) {
  const peers = Array.from({ length: count }, () => new ProcessPeer());
  t.after(() => Promise.all(peers.map((peer) => peer.kill())));
  return peers;
}
