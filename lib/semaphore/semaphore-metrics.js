'use strict';

const { native } = require('../runtime/native');
const { Semaphore } = require('.');

/**
 * The families of a semaphore, each with the property of its statistics.
 *
 * @type {[string, string, string, string][]}
 */
const FAMILIES = [
  ['gauge', 'sluice_semaphore_permits', 'Permits of each key of a semaphore.', 'permits'],
  ['gauge', 'sluice_semaphore_held', 'Permits held now.', 'held'],
  ['gauge', 'sluice_semaphore_waiting', 'Calls that wait for permits now.', 'waiting'],
  ['counter', 'sluice_semaphore_acquired_total', 'Calls that received their permits.', 'acquired'],
  ['counter', 'sluice_semaphore_refused_total', 'Calls that were refused or timed out.', 'refused'],
  [
    'counter',
    'sluice_semaphore_taken_back_total',
    'Permits taken back from a thread that did not accept them in time.',
    'takenBack',
  ],
];

/** What all semaphores of the process count, for Prometheus, under the label `semaphore`. */
function semaphoreFamilies() {
  const names = native.instanceNames().find(({ kind }) => kind === 'Semaphore')?.names ?? [];
  const all = names.map((name) => [name, statsOf(name)]).filter(([, stats]) => stats !== null);
  if (all.length === 0) return [];
  return FAMILIES.map(([type, name, help, property]) => ({
    name,
    type,
    help,
    samples: all.map(([semaphore, stats]) => [{ semaphore }, stats[property]]),
  }));
}

/** null for one that was destroyed meanwhile. */
function statsOf(name) {
  try {
    return new Semaphore(name).stats();
  } catch {
    return null;
  }
}

module.exports = { semaphoreFamilies };
