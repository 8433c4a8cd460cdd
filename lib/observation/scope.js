'use strict';

const { semaphoreNames } = require('../guard/concurrency-names');
const { fitted } = require('../runtime/fitted-name');
const { native } = require('../runtime/native');
const { allNames } = require('./attached');

const NO_PARTS = {
  Broker: [],
  CircuitBreaker: [],
  ClientHub: [],
  HitCounter: [],
  Lifecycle: [],
  Registry: [],
};

/**
 * What an observer looks at: names by kind, with the parts of each guard. `guard` is the name of one guard; without it, all
 * guards and components of the process.
 *
 * @param {string} [guard]
 * @returns {any}
 */
function namesIn(guard) {
  const all = allNames();
  if (guard === undefined) return { ...all, guards: guards(all.guard ?? []) };
  const [only] = guards([guard]);
  const of = (name) => (name === null ? [] : [name]);
  return {
    ...NO_PARTS,
    guards: [only],
    RateLimiter: only.limiters,
    ConnectionTracker: [...of(only.tracker), ...socketsOf(guard, all)],
    Reputation: of(only.reputation),
    SecurityMonitor: of(only.monitor),
    Semaphore: semaphoresOf(guard, all),
    LoadShedder: of(only.shedder),
  };
}

/** The semaphores of the guard's `concurrency`, where it has made any. */
function semaphoresOf(guard, all) {
  return Object.values(semaphoreNames(guard)).filter((name) => (all.Semaphore ?? []).includes(name));
}

/** The tracker of the guard's sockets, where `sluice/ws` or `sluice/socket.io` has made one. */
function socketsOf(guard, all) {
  const name = fitted(`${guard}:sockets`);
  return (all.ConnectionTracker ?? []).includes(name) ? [name] : [];
}

/**
 * Whether a note of the journal belongs to a scope, whose names are `names`. Actions belong to the guard whose page they were
 * made on, and to that of the instance they changed; those on all instances, made elsewhere than on a guard's page, to each.
 */
function notesOf(names, guard) {
  const kinds = ['Reputation', 'SecurityMonitor', 'CircuitBreaker', 'RateLimiter'];
  const sources = new Set(kinds.flatMap((kind) => names[kind] ?? []));
  const isOnAll = (one) => one.guard === undefined && one.source === undefined;
  const isAction = (one) =>
    one.type === 'action' && (guard === undefined || one.guard === guard || isOnAll(one));
  return (one) => isAction(one) || sources.has(one.source);
}

/** The names of the semaphores of a guard, by which of its caps they are for; null where it has none. */
function semaphoresIn(guard, caps) {
  const names = semaphoreNames(guard);
  const of = (kind) => (typeof caps[kind] === 'number' ? names[kind] : null);
  return { max: of('max'), maxPerClient: of('maxPerClient') };
}

function guards(names) {
  return names.map((name) => {
    const options = native.guardOptions(name, false) ?? {};
    const handle = native.openGuard(name, undefined);
    const limiters = native.guardLimiters(handle);
    native.releaseGuard(handle);
    return {
      name,
      dryRun: options.dryRun ?? false,
      limiters,
      tracker: options.connections === 'off' ? null : name,
      reputation: options.reputation ?? null,
      monitor: options.monitor ?? null,
      semaphores: semaphoresIn(name, options.concurrency ?? {}),
      shedder: options.overload === 'options' ? name : null,
    };
  });
}

module.exports = { namesIn, notesOf };
