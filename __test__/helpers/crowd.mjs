import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

const FILE = fileURLToPath(new URL('crowd.cjs', import.meta.url));
const TIMEOUT_MS = 60_000;

/**
 * `count` clients in another process, or in another thread, that connect while this thread is suspended: after the call all
 * wait in the listen queue. A promise of what became of them: how many by status or code of an error.
 */
export function crowd(t, { count, protocol = 'http', port, as = 'process' }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-crowd-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const data = { count, protocol, port, connected: path.join(folder, 'connected') };
  const outcomes = as === 'process' ? inProcess(data) : inThread(data);
  suspendUntil(() => existsSync(data.connected));
  return outcomes;
}

/** Suspends this thread. */
export function suspendUntil(isDone) {
  const words = new Int32Array(new SharedArrayBuffer(4));
  const deadline = Date.now() + TIMEOUT_MS;
  while (!isDone()) {
    if (Date.now() > deadline) throw new Error('what this thread is suspended for does not happen');
    Atomics.wait(words, 0, 0, 2);
  }
}

async function inProcess(data) {
  const { stdout } = await promisify(execFile)(process.execPath, [FILE, JSON.stringify(data)], {
    timeout: TIMEOUT_MS,
  });
  return JSON.parse(stdout);
}

async function inThread(data) {
  const [outcomes] = await once(new Worker(FILE, { workerData: data }), 'message');
  return outcomes;
}
