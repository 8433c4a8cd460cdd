// Which thread runs where. Two threads that talk are put on one core or on two as the system likes, and a round trip
// costs three times as much in one case as in the other: both are measured, and neither by chance.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

export const TWO_CORES = 'two cores';
export const ONE_CORE = 'one core';

/**
 * For each placement the core of who calls and of who answers. Empty where threads cannot be kept on a core; then what
 * the system makes of them is no ground for a ratio.
 */
export function placements() {
  const cores = pinnableCores();
  if (cores.length === 0) return {};
  const [first, second] = cores;
  const one = { [ONE_CORE]: { caller: first, callee: first } };
  return second === undefined ? one : { [TWO_CORES]: { caller: first, callee: second }, ...one };
}

/** The calling thread from now on, and those that it starts. */
export function pinThread(core) {
  // Looked up by the thread that asks.
  const thread = path.basename(readlinkSync('/proc/thread-self'));
  execFileSync('taskset', ['--cpu-list', '--pid', String(core), thread], { stdio: 'ignore' });
}

/** How a process is started whose helpers (compilers, collectors) have those cores too. */
export function onCores(...cores) {
  return ['taskset', '--cpu-list', cores.join(',')];
}

function pinnableCores() {
  if (process.platform !== 'linux' || spawnSync('taskset', ['--version']).status !== 0) return [];
  const [, list] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return list.split(',').flatMap(coresOf);
}

/** Those of `3` or of `0-7`. */
function coresOf(range) {
  const [first, last = first] = range.split('-').map(Number);
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}
