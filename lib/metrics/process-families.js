'use strict';

const { attached } = require('../observation/attached');
const { namesIn } = require('../observation/scope');
const { native } = require('../runtime/native');
const { GUARD_COUNTERS } = require('../runtime/layouts');
const { guardStats } = require('../guard/guard-stats');
const { COMPONENTS } = require('./components');
const { merged, sampled } = require('./declare');
const { GUARD, guardFamilies, IN_FLIGHT } = require('./guard-families');
const { LATENCIES, latencyFamilies } = require('./latency-families');
const { THREAD } = require('./thread-families');

/** All that the process may have, in the order of pages. */
const DECLARED = merged(
  [...GUARD, ...IN_FLIGHT, ...COMPONENTS.flatMap(({ families }) => families), ...THREAD].map((family) => ({
    ...family,
    samples: [],
  })),
);

/**
 * What guards and components of the process count, whichever threads created them, as families with samples. `guards` are the
 * names of the guards that are wanted; without it all of them, and all components that belong to no guard.
 *
 * @param {{ guards: string[] | undefined, histograms: boolean }} wanted
 */
function processFamilies({ guards, histograms }) {
  const all = namesIn();
  const wanted = all.guards.filter(({ name }) => guards === undefined || guards.includes(name));
  const families = wanted.flatMap(familiesOfGuard);
  if (guards === undefined) families.push(...familiesOfComponents(all), ...familiesOfThreads());
  if (histograms) families.push(...latencyFamilies(guards));
  return inOrder(merged(families), histograms);
}

function inOrder(families, histograms) {
  const byName = new Map(families.map((family) => [family.name, family]));
  const declared = histograms ? [...DECLARED, ...LATENCIES] : DECLARED;
  return declared.map(({ name }) => byName.get(name)).filter((family) => family !== undefined);
}

/** Of a guard of which this thread may have no object. A part that was destroyed is left out. */
function familiesOfGuard({ name, ...guard }) {
  const limiters = new Map(
    guard.limiters.map((one) => [one, attached('RateLimiter', one)]).filter(([, one]) => one !== null),
  );
  const parts = {
    limiter: limiters.get(name) ?? null,
    tracker: attached('ConnectionTracker', guard.tracker),
    reputation: attached('Reputation', guard.reputation),
    monitor: attached('SecurityMonitor', guard.monitor),
    semaphores: semaphoresOf(guard.semaphores),
    shedder: attached('LoadShedder', guard.shedder),
  };
  const stats = guardStats({ all: () => countsOf(name) }, { limiters, ...parts });
  return guardFamilies({ name, ...parts }, stats, parts.semaphores);
}

function semaphoresOf({ max, maxPerClient }) {
  return { max: attached('Semaphore', max), maxPerClient: attached('Semaphore', maxPerClient) };
}

function countsOf(name) {
  // Attaches only: after a reset the next construction sets the options.
  const handle = native.openGuard(name, undefined);
  const counts = native.guardCounts(handle);
  native.releaseGuard(handle);
  return Object.fromEntries(Object.entries(GUARD_COUNTERS).map(([counter, code]) => [counter, counts[code]]));
}

/** Of instances that are no part of a guard: those of guards have the label `guard`. */
function familiesOfComponents(names) {
  const parts = partsOf(names.guards);
  return COMPONENTS.flatMap(({ kind, label, read, families }) =>
    (names[kind] ?? [])
      .filter((name) => !parts.has(`${kind} ${name}`))
      .flatMap((name) => {
        const stats = readOrNull(read, name);
        return stats === null ? [] : sampled(families, { [label]: name }, stats);
      }),
  );
}

function partsOf(guards) {
  const parts = guards.flatMap(({ limiters, tracker, reputation, monitor, semaphores, shedder }) => [
    ...limiters.map((name) => `RateLimiter ${name}`),
    `ConnectionTracker ${tracker}`,
    `Reputation ${reputation}`,
    `SecurityMonitor ${monitor}`,
    `LoadShedder ${shedder}`,
    ...Object.values(semaphores).map((name) => `Semaphore ${name}`),
  ]);
  return new Set(parts);
}

/** null for an instance that was destroyed meanwhile. */
function readOrNull(read, name) {
  try {
    return read(name) ?? null;
  } catch {
    return null;
  }
}

function familiesOfThreads() {
  return native
    .readThreadLoads()
    .flatMap(({ threadId, ...load }) => sampled(THREAD, { thread: String(threadId) }, load));
}

module.exports = { DECLARED, processFamilies };
