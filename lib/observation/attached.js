'use strict';

const { CircuitBreaker } = require('../circuit-breaker');
const { ClientHub } = require('../client-hub');
const { ConnectionTracker } = require('../connection-tracker');
const { HitCounter } = require('../hit-counter');
const { LoadShedder } = require('../load-shedder');
const { kCheckOpen: kShedderOpen } = require('../load-shedder/symbols');
const { RateLimiter } = require('../rate-limiter');
const { kIsAwaited, kLimits } = require('../rate-limiter/symbols');
const { Registry } = require('../registry');
const { Reputation } = require('../reputation');
const { native } = require('../runtime/native');
const { SecurityMonitor } = require('../security-monitor');
const { Semaphore } = require('../semaphore');
const { kCheckOpen: kSemaphoreOpen } = require('../semaphore/symbols');
const { KnownObjects } = require('./known-objects');

/** Components that are read through an object of this thread. A broker and a lifecycle are not: an object takes part. */
const CLASSES = {
  RateLimiter,
  ConnectionTracker,
  Reputation,
  SecurityMonitor,
  CircuitBreaker,
  ClientHub,
  Registry,
  HitCounter,
  LoadShedder,
  Semaphore,
};

/** A key that no client has. */
const NO_KEY = '\0';

/** A cheap call of each kind, which throws once the instance is destroyed. None reads a table. */
const PROBES = {
  // Where a server keeps the counts, `peek` is an error.
  RateLimiter: (limiter) => (limiter[kIsAwaited] ? limiter[kLimits]() : limiter.peek(NO_KEY)),
  ConnectionTracker: (tracker) => tracker.get(NO_KEY),
  Reputation: (reputation) => reputation.isBanned('::1'),
  SecurityMonitor: (monitor) => monitor.counts(),
  CircuitBreaker: (breaker) => breaker.state(NO_KEY),
  ClientHub: (hub) => hub.get(NO_KEY),
  Registry: (registry) => registry.has(NO_KEY),
  HitCounter: (counter) => counter.get(NO_KEY),
  LoadShedder: (shedder) => shedder[kShedderOpen](),
  Lifecycle: (lifecycle) => lifecycle.state,
  Semaphore: (semaphore) => semaphore[kSemaphoreOpen](),
};

/** Whether the object's instance exists. One that was destroyed may have been created anew. */
const isOpen = (kind, object) => {
  try {
    PROBES[kind](object);
    return true;
  } catch {
    return false;
  }
};

/** This thread's objects: made once, as each holds a handle. */
const objects = new KnownObjects((kind, object) => !isOpen(kind, object));

/** The instance of this kind and name; null where there is none. It is attached to, never created. */
function attached(kind, name) {
  if (name === null || name === undefined) return null;
  const known = objects.get(kind, name);
  if (known !== undefined) return known;
  try {
    const object = new CLASSES[kind](name);
    objects.set(kind, name, object);
    return object;
  } catch {
    return null;
  }
}

/**
 * The names of all instances of the process: `{ RateLimiter: ['api', …], … }`.
 *
 * @returns {Record<string, string[]>}
 */
function allNames() {
  return Object.fromEntries(native.instanceNames().map(({ kind, names }) => [kind, names]));
}

module.exports = { allNames, attached, isOpen, objects };
