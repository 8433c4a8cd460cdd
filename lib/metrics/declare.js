'use strict';

/**
 * A family of metrics: `read(stats)` returns its samples, each `[labels, value]`, and `labels` names the labels that they have
 * besides that of the instance. `unit` is as UCUM writes it, where there is one.
 *
 * @typedef {{ type: string, name: string, help: string, unit: string, labels: string[], read: (stats: any) => any[] }} Family
 */

/** `of`: a property of the statistics, a function of them, or what `by` returns. What is undefined or null has no sample. */
function family(type, name, help, of, unit = '') {
  const { labels, read } = typeof of === 'object' ? of : { labels: [], read: single(of) };
  return { type, name, help, unit, labels, read };
}

const counter = (name, help, of, unit) => family('counter', name, help, of, unit);
const gauge = (name, help, of, unit) => family('gauge', name, help, of, unit);

function single(of) {
  const pick = typeof of === 'string' ? (stats) => stats[of] : of;
  return (stats) => {
    const value = pick(stats);
    return value === undefined || value === null ? [] : [[{}, value]];
  };
}

/** One sample for each key of what `of(stats)` returns, under one label. */
function by(label, of) {
  const read = (stats) => Object.entries(of(stats) ?? {}).map(([key, value]) => [{ [label]: key }, value]);
  return { labels: [label], read };
}

/** One sample for each of `states`: 1 for the one that `of(stats)` returns, 0 for the others. */
function oneOf(label, states, of) {
  return by(label, (stats) => {
    const now = of(stats);
    if (now === undefined) return undefined;
    return Object.fromEntries(states.map((state) => [state, state === now ? 1 : 0]));
  });
}

/** Families with the samples of one instance, whose labels come first. */
function sampled(families, labels, stats) {
  return families.map(({ read, ...family }) => {
    const samples = read(stats).map(([own, value]) => [{ ...labels, ...own }, value]);
    return { ...family, samples };
  });
}

/** Merges families of one name: pages have each name once. */
function merged(families) {
  const byName = new Map();
  for (const family of families) {
    const before = byName.get(family.name);
    if (before === undefined) byName.set(family.name, { ...family, samples: [...family.samples] });
    else before.samples.push(...family.samples);
  }
  return [...byName.values()];
}

module.exports = { by, counter, gauge, merged, oneOf, sampled };
