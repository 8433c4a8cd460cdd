'use strict';

const { statsOf } = require('../guard/guard-stats');
const { by, counter, gauge, merged, sampled } = require('./declare');
const { MONITOR, REPUTATION, TRACKER } = require('./client-families');
const { LIMITER } = require('./limiter-families');
const { SEMAPHORE, SHEDDER } = require('./service-families');

/** What a guard counts itself. */
const GUARD = [
  counter(
    'sluice_requests_passed_total',
    'Requests that passed.',
    by('outcome', ({ allowed, skipped }) => ({ allowed, skipped })),
  ),
  counter(
    'sluice_requests_refused_total',
    'Requests that were refused, by reason.',
    by('reason', ({ refusedBy }) => refusedBy),
  ),
  counter(
    'sluice_accepts_banned_total',
    'Sockets refused at accept: banned, or without an address.',
    'refusedAtAccept',
  ),
  counter('sluice_dry_refused_total', 'Refusals that dryRun only counted.', 'dryRefused'),
  counter(
    'sluice_refunded_total',
    'Charges taken back: by countOnly, or of requests that concurrency refused.',
    'refunded',
  ),
  counter('sluice_recorded_total', 'Requests that the reputation or the monitor recorded.', 'recorded'),
  counter('sluice_faults_total', 'Internal errors of the guard; each let its request pass.', 'faults'),
];

/** The requests in progress, of a guard that bounds them. */
const IN_FLIGHT = [
  gauge(
    'sluice_requests_in_flight',
    'Requests between their decision and the end of their answer.',
    'inFlight',
  ),
];

/**
 * The families of a guard and its parts, as `{ name, limiter, reputation, monitor }` with their statistics, and of the
 * `semaphores` of its concurrency. Each sample has the label `guard`; parts have a label with their name too.
 */
function guardFamilies({ name: guard, limiter, reputation, monitor }, stats, semaphores) {
  const of = (families, labels, part) => (part === null ? [] : sampled(families, { guard, ...labels }, part));
  return merged([
    ...of(GUARD, {}, stats),
    ...limitersOf(limiter, stats).flatMap(([name, one]) => of(LIMITER, { limiter: name }, one)),
    ...of(TRACKER, {}, stats.connections),
    ...of(IN_FLIGHT, {}, stats.concurrency ?? null),
    ...countedOf(semaphores).flatMap(([name, one]) => of(SEMAPHORE, { semaphore: name }, one)),
    ...of(SHEDDER, {}, stats.overload ?? null),
    ...of(REPUTATION, { reputation: reputation?.name }, stats.reputation),
    ...of(MONITOR, { monitor: monitor?.name }, stats.monitor),
  ]);
}

/** The guard's limiter and those of its routes, without any that was destroyed. */
function limitersOf(limiter, { rateLimit, routes }) {
  const all = limiter === null ? routes : { [limiter.name]: rateLimit, ...routes };
  return Object.entries(all).filter(([, stats]) => stats !== null);
}

/** Names and statistics of the semaphores, without any that was destroyed. */
function countedOf(semaphores) {
  return Object.values(semaphores)
    .filter((semaphore) => semaphore !== null)
    .map((semaphore) => [semaphore.name, statsOf(semaphore)]);
}

module.exports = { GUARD, guardFamilies, IN_FLIGHT };
