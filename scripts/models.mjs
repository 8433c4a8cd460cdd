// Builds the engine with the atomics of a model checker and runs its models, each in a process of its own.
import { execFile, spawnSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { root } from './addon.mjs';
import { fail } from './requirements.mjs';

/** One build serves both scripts that run loom's models: bugs can be planted in it, by the environment. */
const FEATURES = { loom: 'loom,planted', shuttle: 'shuttle' };
/** For a model that hangs. On a busy machine a model takes several times as long as on an idle one. */
const SECONDS = 600;
/** Most preemptions and steps of an interleaving: enough steps for a call that retries until it gives up. */
const BOUNDS = { LOOM_MAX_PREEMPTIONS: '3', LOOM_MAX_BRANCHES: '10000' };

/** Builds the engine's tests for `checker`; the path of their binary. */
export function build(checker) {
  const options =
    '--package sluice-core --lib --profile models --no-run --quiet --message-format json-render-diagnostics';
  const { status, stdout } = spawnSync(
    'cargo',
    ['test', ...options.split(' '), '--features', FEATURES[checker]],
    {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: Number.POSITIVE_INFINITY,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  if (status !== 0) fail(`the engine does not compile for ${checker}.`);
  const artifacts = stdout.split('\n').filter(Boolean).map(JSON.parse);
  return artifacts.findLast(({ executable }) => executable).executable;
}

/** The models in `module`, by their full names. */
export async function list(binary, module) {
  const { output } = await run(binary, ['--list']);
  return [...output.matchAll(/^(.+): test$/gm)]
    .map(([, name]) => name)
    .filter((name) => name.includes(module));
}

/** Runs one model, with `bug` planted if given. */
export function runModel(binary, model, bug) {
  return run(binary, ['--exact', model, '--nocapture'], bug);
}

/** Runs the binary: how long it took, what it printed, and `passes`, `fails` or why it proves neither. */
export function run(binary, args, bug) {
  const startedAt = performance.now();
  const options = {
    cwd: path.join(root, 'crates', 'core'),
    env: { ...process.env, ...BOUNDS, SLUICE_PLANTED: bug },
    timeout: SECONDS * 1_000,
    maxBuffer: Number.POSITIVE_INFINITY,
  };
  return new Promise((resolve) => {
    execFile(binary, args, options, (error, stdout, stderr) => {
      const seconds = (performance.now() - startedAt) / 1_000;
      const output = stdout + stderr;
      resolve({ outcome: outcomeOf(error, output), seconds, output });
    });
  });
}

/** An endless interleaving is no answer: the model neither holds nor finds a bug. */
function outcomeOf(error, output) {
  if (!error) return 'passes';
  if (error.killed) return `does not end within ${SECONDS} s`;
  return output.includes('exceeded maximum number of branches') ? 'has an endless interleaving' : 'fails';
}

/** Calls `work` for each item, for as many items at once as there are CPUs; the results in the items' order. */
export async function inParallel(items, work) {
  const results = [];
  const queue = items.entries();
  const worker = async () => {
    for (const [index, item] of queue) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
  return results;
}

/** A line of a report: `found     1.2 s  NoBarrierAfterClaim`. */
export function line(outcome, seconds, name) {
  return `${outcome.padEnd(6)} ${seconds.toFixed(1).padStart(6)} s  ${name}`;
}
