// Cells of the tables: medians over the rounds.
import { median, spread } from '../statistics.mjs';
import { nsPerCall } from './rows.mjs';

export function millions({ callsPerSecond }) {
  return (median(callsPerSecond) / 1e6).toPrecision(3);
}

export function nanoseconds(row) {
  if (row === undefined) return '';
  const ns = nsPerCall(row);
  return ns < 1_000 ? ns.toPrecision(3) : ns.toFixed(0);
}

/** The widest spread of several rows. */
export function spreadOf(rows) {
  return `±${(100 * Math.max(...rows.map(({ callsPerSecond }) => spread(callsPerSecond)))).toFixed(0)} %`;
}

export function percentiles({ p50, p95, p99 }) {
  return [p50, p95, p99].map((samples) => median(samples).toFixed(0)).join(' / ');
}

export function waited({ locks, waitedPerCall }) {
  if (locks === 'none') return '—';
  return locks === 'hidden' ? 'hidden' : median(waitedPerCall).toFixed(1);
}
