// Pins threads to cores. The system places two threads on one core or on two, and a round trip costs three times as much
// in one case as in the other. So both placements are measured, neither by chance.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

export const TWO_CORES = 'two cores';
export const ONE_CORE = 'one core';

/**
 * The cores of caller and callee for each placement. Empty where threads cannot be pinned, as ratios would then depend on
 * the scheduler.
 */
export function placements() {
  const cores = pinnableCores();
  if (cores.length === 0) return {};
  const [first, second] = cores;
  const one = { [ONE_CORE]: { caller: first, callee: first } };
  return second === undefined ? one : { [TWO_CORES]: { caller: first, callee: second }, ...one };
}

/** Pins the calling thread, and the threads that it starts from now on. */
export function pinThread(core) {
  // Resolves to the calling thread.
  const thread = path.basename(readlinkSync('/proc/thread-self'));
  execFileSync('taskset', ['--cpu-list', '--pid', String(core), thread], { stdio: 'ignore' });
}

/** A command prefix that starts a process on these cores, with its helper threads (compiler, garbage collector). */
export function onCores(...cores) {
  return ['taskset', '--cpu-list', cores.join(',')];
}

function pinnableCores() {
  if (process.platform !== 'linux' || spawnSync('taskset', ['--version']).status !== 0) return [];
  const [, list] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return list.split(',').flatMap(coresOf);
}

/** The cores of a list entry such as `3` or `0-7`. */
function coresOf(range) {
  const [first, last = first] = range.split('-').map(Number);
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}
