// Processes that are inspected, and the command line that inspects them.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('inspected-process.cjs', import.meta.url));
const COMMAND = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));

/** An empty folder until the test ends, which only this user can enter. Its path is short: a socket's has to be. */
export function freshFolder(t) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-t-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const socketsIn = (folder) => readdirSync(folder).filter((name) => name.endsWith('.sock'));

/** A process with worker threads, until the test ends. Its sockets are in `folder`. */
export class Inspected {
  #process;
  #pending = new Map();
  #nextId = 1;
  stderr = '';

  constructor(folder, env = {}) {
    this.#process = fork(FILE, {
      env: { ...process.env, SLUICE_INSPECT_DIR: folder, ...env },
      execArgv: [],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    this.#process.stderr.on('data', (chunk) => {
      this.stderr += chunk;
    });
    this.#process.on('message', ({ id, value, error }) => {
      const { resolve, reject } = this.#pending.get(id);
      this.#pending.delete(id);
      if (error === undefined) resolve(value);
      else reject(Object.assign(new Error(error.message), error));
    });
    this.exited = once(this.#process, 'exit');
  }

  get pid() {
    return this.#process.pid;
  }

  /** Resolves with the number of the new thread. */
  start() {
    return this.#send({ worker: 'start' });
  }

  /** Resolves with the result of `body(local, data)` in a thread; see peer-worker.cjs. */
  run(worker, body, data) {
    return this.#send({ worker, body: String(body), data });
  }

  terminate(worker) {
    return this.#send({ worker });
  }

  /** Calls `process.exit` in the main thread. */
  async exit() {
    this.#process.send({ worker: 'exit' });
    await this.exited;
  }

  async kill(signal = 'SIGKILL') {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill(signal);
    await this.exited;
  }

  #send(message) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#process.send({ ...message, id });
    });
  }
}

/** The guard that each thread has. */
export const GUARD = {
  rateLimit: { limit: 10, window: '1h' },
  reputation: { maxFailures: 3, findTime: '1h', banTime: '1h', maxBanTime: '1d' },
};

/** Starts a process with four threads that have a guard and, with `options`, are inspected; the first thread serves. */
export async function startServer(t, { folder = freshFolder(t), options, env } = {}) {
  const server = new Inspected(folder, env);
  t.after(() => server.kill());
  for (let thread = 0; thread < 4; thread++) {
    await server.start();
    await server.run(thread, join, { name: 'shop', guard: GUARD, options });
  }
  return Object.assign(server, { folder });
}

async function join({ load, state }, { name, guard, options }) {
  const { createGuard, inspect } = load();
  state.guard = createGuard(name, guard);
  if (options === undefined) return undefined;
  state.inspection = inspect(options);
  return state.inspection.ready();
}

/** Runs `sluice` with arguments until it ends. */
export async function sluice(args, { folder, env = {} } = {}) {
  const command = startCommand(args, { folder, env });
  const [status] = await command.exited;
  return { status, stdout: command.stdout, stderr: command.stderr };
}

/** Starts `sluice`; `stdout` and `stderr` grow, and `said(pattern)` waits for what it prints. */
export function startCommand(args, { folder, env = {} } = {}) {
  const child = spawn(process.execPath, [COMMAND, ...args], {
    env: { ...process.env, SLUICE_INSPECT: undefined, SLUICE_INSPECT_DIR: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const command = {
    stdout: '',
    stderr: '',
    exited: once(child, 'close'),
    kill: (signal) => child.kill(signal),
  };
  for (const stream of ['stdout', 'stderr']) {
    child[stream].setEncoding('utf8').on('data', (chunk) => {
      command[stream] += chunk;
    });
  }
  command.said = async (pattern) => {
    while (!pattern.test(command.stdout)) await once(child.stdout, 'data');
  };
  return command;
}
