// Look-ups in the rows of a run.
import { cores } from '../machine.mjs';
import { median, ratio } from '../statistics.mjs';

/** The rows with these values of fields. */
export function where(rows, fields) {
  return rows.filter((row) => Object.entries(fields).every(([name, value]) => row[name] === value));
}

export function only(rows, fields) {
  return where(rows, fields)[0];
}

/** The distinct values of a field, in order of occurrence. */
export function distinct(rows, field) {
  return [...new Set(rows.map((row) => row[field]))];
}

export function isSluice({ contender }) {
  return contender.startsWith('sluice');
}

/** The ratio of throughputs: within rounds, or of medians for rows of different programs. */
export function times({ callsPerSecond, contender }, other) {
  const ofOneProgram = isOfGo({ contender }) === isOfGo(other);
  return ofOneProgram
    ? ratio(callsPerSecond, other.callsPerSecond)
    : median(callsPerSecond) / median(other.callsPerSecond);
}

function isOfGo({ contender }) {
  return contender.endsWith('(Go)');
}

export function clientsOf(keys) {
  return keys === 1 ? 'one client' : `${keys.toLocaleString('en')} clients`;
}

export function nsPerCall(row) {
  return 1e9 / median(row.callsPerSecond);
}

/** Marks columns with more threads than cores, which measure the scheduler. */
export function threadsHeading(threads) {
  return threads > cores ? `${threads} †` : `${threads}`;
}

export const OVER_CORES = `† More threads than cores (${cores}): this measures how the system schedules them, more than the map.`;
