// Counts per second of the last hour, as the stream sends them.

const SECONDS = 3600;
const GUARD_KINDS = 10;
const LIMITER_KINDS = 3;

/** The columns of a guard's rows. */
export const KIND = {
  allowed: 0,
  quota: 1,
  connections: 2,
  ban: 3,
  dryRun: 4,
  skipped: 5,
  accept: 6,
  faults: 7,
  concurrency: 8,
  overload: 9,
};

export const emptyHistory = () => ({ guards: new Map(), limiters: new Map(), last: 0 });

/** The history with what a message adds. Rows of a second replace those that came before it was over. */
export function addHistory(history, { guards, limiters }) {
  const next = {
    guards: merged(history.guards, guards, GUARD_KINDS),
    limiters: merged(history.limiters, limiters, LIMITER_KINDS),
    last: history.last,
  };
  for (const series of [...next.guards.values(), ...next.limiters.values()]) {
    for (const second of series.keys()) next.last = Math.max(next.last, second);
  }
  return next;
}

function merged(known, series, kinds) {
  const next = new Map();
  for (const { name, first, rows } of series) {
    const bySecond = known.get(name) ?? new Map();
    for (let place = 0; place * kinds < rows.length; place++) {
      bySecond.set(first + place, rows.slice(place * kinds, (place + 1) * kinds));
    }
    for (const second of bySecond.keys()) {
      if (bySecond.size <= SECONDS) break;
      bySecond.delete(second);
    }
    next.set(name, bySecond);
  }
  return next;
}

/**
 * Rates for a chart: `[times, allowed, quota, …]`, one point for each `step` seconds of the last `range`, of the guards; of
 * the limiters where there are no guards. The second under way is left out.
 */
export function chartData({ guards, limiters, last }, range, step) {
  const series = guards.size > 0 ? [...guards.values()] : [...limiters.values()].map(asGuard);
  const end = last - (last % step);
  const times = [];
  const columns = Array.from({ length: GUARD_KINDS }, () => []);
  for (let from = end - range; from < end; from += step) {
    const sums = sumOf(series, from, from + step);
    times.push(from);
    for (const [kind, column] of columns.entries()) column.push(sums[kind] / step);
  }
  return [times, ...columns];
}

/** The sums of the last whole seconds. */
export function latest({ guards, limiters, last }, seconds) {
  const series = guards.size > 0 ? [...guards.values()] : [...limiters.values()].map(asGuard);
  return sumOf(series, last - seconds, last);
}

/** Allowed, refused and dry-refused per second of one limiter. */
export function limiterRates({ limiters, last }, name, seconds) {
  const rows = limiters.get(name);
  const sums = Array(LIMITER_KINDS).fill(0);
  if (rows === undefined) return sums;
  for (let second = last - seconds; second < last; second++) add(sums, rows.get(second));
  return sums.map((sum) => sum / seconds);
}

function sumOf(series, from, to) {
  const sums = Array(GUARD_KINDS).fill(0);
  for (const rows of series) {
    for (let second = from; second < to; second++) add(sums, rows.get(second));
  }
  return sums;
}

function add(sums, row) {
  if (row === undefined) return;
  for (let kind = 0; kind < row.length; kind++) sums[kind] += row[kind];
}

function asGuard(rows) {
  return {
    get(second) {
      const row = rows.get(second);
      return row && [row[0], row[1], 0, 0, row[2], 0, 0, 0, 0, 0];
    },
  };
}
