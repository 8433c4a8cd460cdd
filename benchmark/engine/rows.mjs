// The rows of a run, by what they are of.
import { cores } from '../machine.mjs';
import { median, ratio } from '../statistics.mjs';

/** Rows whose fields are these. */
export function where(rows, fields) {
  return rows.filter((row) => Object.entries(fields).every(([name, value]) => row[name] === value));
}

export function only(rows, fields) {
  return where(rows, fields)[0];
}

/** The different values of a field, in the order in which they come. */
export function distinct(rows, field) {
  return [...new Set(rows.map((row) => row[field]))];
}

export function isOurs({ contender }) {
  return contender.startsWith('sluice');
}

/** How many times the throughput of another: within a round, but of medians with another program. */
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

/** More threads than cores measure how the system shares cores out: such columns are marked. */
export function threadsHeading(threads) {
  return threads > cores ? `${threads} †` : `${threads}`;
}

export const OVER_CORES = `† More threads than cores (${cores}): this measures how the system schedules them, more than the map.`;
