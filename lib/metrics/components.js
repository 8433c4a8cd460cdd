'use strict';

const { attached } = require('../observation/attached');
const { LIFECYCLE_STATES } = require('../runtime/layouts');
const { native } = require('../runtime/native');
const { MONITOR, REPUTATION, TRACKER } = require('./client-families');
const { LIMITER } = require('./limiter-families');
const {
  BREAKER,
  BROKER,
  HIT_COUNTER,
  HUB,
  LIFECYCLE,
  REGISTRY,
  SEMAPHORE,
  SHEDDER,
} = require('./service-families');

const STATES = Object.keys(LIFECYCLE_STATES);

/** As `stats()` of an object of this thread has it; null where the instance was destroyed. */
const statsOf = (kind) => (name) => attached(kind, name)?.stats() ?? null;

/**
 * The components with metrics, one row each: what its instances are called, the label with their names, the statistics of one
 * over all threads, and the families made of them.
 *
 * @type {{ kind: string, label: string, read: (name: string) => any, families: import('./declare').Family[] }[]}
 */
const COMPONENTS = [
  { kind: 'RateLimiter', label: 'limiter', read: statsOf('RateLimiter'), families: LIMITER },
  { kind: 'ConnectionTracker', label: 'tracker', read: statsOf('ConnectionTracker'), families: TRACKER },
  { kind: 'Reputation', label: 'reputation', read: statsOf('Reputation'), families: REPUTATION },
  { kind: 'SecurityMonitor', label: 'monitor', read: statsOf('SecurityMonitor'), families: MONITOR },
  { kind: 'CircuitBreaker', label: 'breaker', read: statsOf('CircuitBreaker'), families: BREAKER },
  { kind: 'Broker', label: 'broker', read: (name) => native.brokerOverview(name), families: BROKER },
  { kind: 'ClientHub', label: 'hub', read: statsOf('ClientHub'), families: HUB },
  { kind: 'Lifecycle', label: 'lifecycle', read: readLifecycle, families: LIFECYCLE },
  { kind: 'Registry', label: 'registry', read: readRegistry, families: REGISTRY },
  { kind: 'HitCounter', label: 'counter', read: statsOf('HitCounter'), families: HIT_COUNTER },
  { kind: 'Semaphore', label: 'semaphore', read: statsOf('Semaphore'), families: SEMAPHORE },
  { kind: 'LoadShedder', label: 'shedder', read: statsOf('LoadShedder'), families: SHEDDER },
];

function readLifecycle(name) {
  const overview = native.lifecycleOverview(name);
  return overview && { ...overview, state: STATES[overview.state] };
}

function readRegistry(name) {
  const registry = attached('Registry', name);
  return registry && { size: registry.size, version: registry.version };
}

module.exports = { COMPONENTS };
