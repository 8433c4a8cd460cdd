// A cluster in which a test runs functions: a primary in its own process, and its workers.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('cluster-process.cjs', import.meta.url));

export class Cluster {
  #primary;
  #pending = new Map();
  #nextId = 1;
  #workers = 0;

  /** `policy` is `'rr'` or `'none'`, `execPath` another runtime. */
  constructor(policy, execPath = process.execPath) {
    const env = { ...process.env, NODE_CLUSTER_SCHED_POLICY: policy };
    this.#primary = fork(FILE, { env, execPath, execArgv: [] });
    this.#primary.on('message', ({ id, value, error }) => {
      const { resolve, reject } = this.#pending.get(id);
      this.#pending.delete(id);
      if (error === undefined) resolve(value);
      else reject(Object.assign(new Error(error.message), error));
    });
  }

  /** The result of `body(local, data)` in the primary; `local` is that of `cluster-process.cjs`. */
  inPrimary(body, data) {
    return this.#run(undefined, body, data);
  }

  /** Starts a worker. `run(body, data)` runs a function in its main thread. */
  async fork() {
    const worker = this.#workers++;
    const pid = await this.inPrimary(async ({ cluster, state }) => {
      const forked = cluster.fork();
      state.workers.push(forked);
      const exited = new Promise((resolve) => {
        forked.once('exit', (code, signal) => resolve(signal ?? code));
      });
      forked.exited = exited;
      await new Promise((resolve) => forked.once('online', resolve));
      return forked.process.pid;
    });
    return {
      pid,
      run: (body, data) => this.#run(worker, body, data),
      /** The exit code, or the signal. */
      exited: () => this.inPrimary(({ state }, index) => state.workers[index].exited, worker),
      kill: (signal) => process.kill(pid, signal),
    };
  }

  async end() {
    if (this.#primary.exitCode !== null || this.#primary.signalCode !== null) return;
    this.#primary.kill('SIGKILL');
    await once(this.#primary, 'exit');
  }

  #run(worker, body, data) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#primary.send({ id, worker, body: String(body), data });
    });
  }
}

/** A cluster until the test ends. Its workers exit when the primary does. */
export function startCluster(t, policy = 'rr', execPath = undefined) {
  const cluster = new Cluster(policy, execPath);
  t.after(() => cluster.end());
  return cluster;
}

/** Starts `count` workers. */
export function forkAll(cluster, count) {
  return Promise.all(Array.from({ length: count }, () => cluster.fork()));
}
