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
 * Starts `count` clients in another process or thread and suspends this thread until all of them are connected, so they
 * are in the listen queue when the call returns. Resolves with the number of clients by status or error code.
 */
export function crowd(t, { count, protocol = 'http', port, as = 'process' }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-crowd-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const data = { count, protocol, port, connected: path.join(folder, 'connected') };
  const outcomes = as === 'process' ? inProcess(data) : inThread(data);
  suspendUntil(() => existsSync(data.connected));
  return outcomes;
}

/** Suspends this thread until `isDone()` returns true. */
export function suspendUntil(isDone) {
  const words = new Int32Array(new SharedArrayBuffer(4));
  const deadline = Date.now() + TIMEOUT_MS;
  while (!isDone()) {
    if (Date.now() > deadline) throw new Error('the condition that this thread waits for did not come true');
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
