// Runs a storm in a separate process and checks its totals.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const PROCESS = fileURLToPath(new URL('storm-process.mjs', import.meta.url));

/**
 * Runs `calls` calls, `lanes` of them at once per thread. Fails after `timeoutMs`. Resolves with the totals.
 */
export async function storm({ calls, seed, lanes = 48, endEvery, timeoutMs, env }) {
  const child = spawn(process.execPath, [PROCESS, JSON.stringify({ calls, seed, lanes, endEvery })], {
    env: { ...process.env, ...env },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => (stdout += text));
  child.stderr.on('data', (text) => (stderr += text));
  const [code, signal] = await once(child, 'close');
  const context = `seed ${seed}\n${stdout}\n${stderr}`;
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, context);
  const totals = JSON.parse(stdout);
  check(totals, calls, context);
  return totals;
}

function check(totals, calls, context) {
  const { unsettled, settledTwice, ranTwice, lostWithTheirThread, left, main, peers } = totals;
  assert.deepEqual(totals.unexpected, [], context);
  // One call in twenty fails on purpose, and most are answered. The number of messages depends on the machine.
  const { answered, failed, messages, threads } = totals;
  assert.ok(answered > calls / 2 && failed > calls / 20 && messages > 0 && threads > 8, context);
  assert.deepEqual(
    { unsettled, settledTwice, ranTwice },
    { unsettled: 0, settledTwice: 0, ranTwice: 0 },
    context,
  );
  // A thread may end between settling a call and counting its outcome.
  const uncounted = calls - totals.answered - totals.failed - lostWithTheirThread;
  assert.ok(uncounted >= 0 && uncounted <= totals.threads, context);
  const nothing = { pendingCount: 0, pending: 0, inFlight: 0, waiting: 0 };
  for (const thread of left) assert.deepEqual(thread, { done: true, left: nothing }, context);
  assert.deepEqual(main, { ...nothing, peers: 1 }, context);
  assert.equal(peers.left, peers.joined, context);
}
