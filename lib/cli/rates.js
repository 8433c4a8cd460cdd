'use strict';

/* Rates from the counts per second that a snapshot carries. */

/** The columns of the rows of a guard and of a limiter. */
const OF_GUARD = [
  'allowed',
  'quota',
  'connections',
  'ban',
  'dryRun',
  'skipped',
  'accept',
  'faults',
  'concurrency',
  'overload',
];
const OF_LIMITER = ['allowed', 'refused', 'dryRun'];

/** The rates of each guard, `{ name, seconds, allowed, … }`. */
function guardRates({ history }) {
  return history.guards.map((series) => ratesOf(series, OF_GUARD));
}

/** The rates of each limiter, by its name. */
function limiterRates({ history }) {
  return new Map(history.limiters.map((series) => [series.name, ratesOf(series, OF_LIMITER)]));
}

/** Per second, over the whole seconds that are known: the last row is of the second under way. */
function ratesOf({ name, rows }, kinds) {
  const seconds = Math.max(0, rows.length / kinds.length - 1);
  const rateOf = (kind) => {
    let sum = 0;
    for (let second = 0; second < seconds; second++) sum += rows[second * kinds.length + kind];
    return seconds === 0 ? 0 : sum / seconds;
  };
  return { name, seconds, ...Object.fromEntries(kinds.map((kind, place) => [kind, rateOf(place)])) };
}

module.exports = { guardRates, limiterRates };
