/*
 * Runs the examples, each in a new process that checks its own totals.
 *
 *   npm run examples             all: a line for each, and the output of those that fail
 *   npm run examples -- login    the examples named, with their output
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { root } from './addon.mjs';
import { fail } from './requirements.mjs';

/** Ends one that hangs. On a busy machine an example can take ten times as long as on an idle one. */
const TIMEOUT_MS = 120_000;

const wanted = process.argv.slice(2);
const names = readdirSync(path.join(root, 'examples'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .filter((name) => wanted.length === 0 || wanted.includes(name));

if (names.length === 0) fail(`no example is named ${wanted.join(', ') || 'anything'}.`);
const passed = names.map(runs);
process.exitCode = passed.every(Boolean) ? 0 : 1;

function runs(name) {
  const startedAt = performance.now();
  const { status, error, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(root, 'examples', name, 'index.js')],
    { cwd: root, encoding: 'utf8', timeout: TIMEOUT_MS, killSignal: 'SIGKILL' },
  );
  const isPassed = status === 0;
  if (!isPassed || wanted.length > 0) process.stdout.write(`${stdout}${stderr}`);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
  const why = error?.code === 'ETIMEDOUT' ? `  took longer than ${TIMEOUT_MS / 1000} s` : '';
  console.log(`${isPassed ? '✓' : '✗'} ${name.padEnd(20)}${seconds} s${why}`);
  return isPassed;
}
