'use strict';

const { kForemost } = require('../circuit-breaker/symbols');
const { kBusiest } = require('../connection-tracker/symbols');
const { kIsAwaited, kLimits } = require('../rate-limiter/symbols');
const { kFirstBans } = require('../reputation/symbols');
const { GUARD_COUNTERS, LIFECYCLE_STATES, OBSERVED_REASONS } = require('../runtime/layouts');
const { native } = require('../runtime/native');
const { attached } = require('./attached');
const { notesSince } = require('./journal');
const { recentRoundTrips } = require('./round-trips');
const { seal } = require('./opaque-ids');
const { isAddress } = require('./shown-keys');
const { namesIn, notesOf } = require('./scope');

const REASONS = Object.keys(OBSERVED_REASONS);
const STATES = Object.keys(LIFECYCLE_STATES);

/** How many of each list are told. */
const MOST = { clients: 50, bans: 200, circuits: 200, notes: 200, holders: 20 };

/** Asking a limiter for a key tells whether it is in a dry run. The key is that of no client: it is charged nothing. */
const NO_KEY = '\0';

/**
 * What there is to see in a scope at this moment, as plain data for JSON: numbers, texts, and ids by which actions name
 * clients and instances. Keys are shown by `show`.
 */
class Snapshots {
  #guard;
  #show;

  constructor(guard, show) {
    this.#guard = guard;
    this.#show = show;
  }

  /** The whole of it. */
  take() {
    const names = namesIn(this.#guard);
    return {
      at: Date.now(),
      process: processNow(),
      threads: native.readThreadLoads().sort((a, b) => a.threadId - b.threadId),
      guards: names.guards.map(guardNow),
      limiters: some(names.RateLimiter, 'RateLimiter', limiterNow),
      trackers: some(names.ConnectionTracker, 'ConnectionTracker', (tracker) => this.#tracker(tracker)),
      reputations: some(names.Reputation, 'Reputation', (reputation) => this.#reputation(reputation)),
      monitors: some(names.SecurityMonitor, 'SecurityMonitor', (monitor) => this.#monitor(monitor)),
      breakers: some(names.CircuitBreaker, 'CircuitBreaker', breakerNow),
      hubs: some(names.ClientHub, 'ClientHub', (hub) => hub.stats()),
      registries: some(names.Registry, 'Registry', ({ size, version }) => ({ size, version })),
      shedders: some(names.LoadShedder, 'LoadShedder', (shedder) => shedder.stats()),
      counters: some(names.HitCounter, 'HitCounter', (counter) => counter.stats()),
      semaphores: some(names.Semaphore, 'Semaphore', (semaphore) => semaphore.stats()),
      brokers: names.Broker.map(brokerNow).filter(isThere),
      lifecycles: names.Lifecycle.map(lifecycleNow).filter(isThere),
      ...this.#rankings(names),
      notes: this.#notes(names),
    };
  }

  /** The counts per second from a second on: `{ guards, limiters }`, rows one after the other. */
  history(since) {
    const names = namesIn(this.#guard);
    const { guards, limiters } = native.readHistory(since);
    const known = new Set(names.guards.map(({ name }) => name));
    const wanted = new Set(names.RateLimiter);
    return {
      guards: guards.filter(({ name }) => known.has(name)).map(seriesNow),
      limiters: limiters.filter(({ name }) => wanted.has(name)).map(seriesNow),
    };
  }

  /** How a client's key is shown, and the id that names it. */
  client(key) {
    return { client: this.#show(key), id: seal({ kind: 'client', key }), isAddress: isAddress(key) };
  }

  #rankings(names) {
    const sources = new Set([...names.RateLimiter, ...names.guards.map(({ name }) => name)]);
    const { offenders, clients } = native.readRankings(MOST.clients);
    const ranked = (all) => all.filter(({ source }) => sources.has(source)).map((one) => this.#ranked(one));
    return { offenders: ranked(offenders), clients: ranked(clients) };
  }

  #ranked({ reason, key, isWhole, ...counts }) {
    return { ...counts, ...this.#named(key, isWhole), reason: REASONS[reason] };
  }

  /** A key that is known in part only cannot be acted on. */
  #named(key, isWhole) {
    const { id, ...shown } = this.client(key);
    return isWhole ? { ...shown, id } : shown;
  }

  #tracker(tracker) {
    const most = tracker[kBusiest](MOST.holders);
    return {
      ...tracker.stats(),
      clients: most.map(({ client, count }) => ({ ...this.client(client), count })),
    };
  }

  #reputation(reputation) {
    const stats = reputation.stats();
    const bans = reputation[kFirstBans](MOST.bans).map(({ client, until, retryAfterMs, reason }) => ({
      ...this.client(client),
      // JSON has no Infinity.
      until: finite(until),
      retryAfterMs: finite(retryAfterMs),
      reason,
    }));
    // Bans may begin and end between the two calls.
    const bansLeftOut = Math.max(0, stats.banned + stats.ranges - bans.length);
    return { ...stats, bans, bansLeftOut: bans.length < MOST.bans ? 0 : bansLeftOut };
  }

  #monitor(monitor) {
    const top = monitor.top({ limit: 10 });
    return {
      ...monitor.stats(),
      counts: monitor.counts(),
      top: top.map(({ client, count }) => ({ ...this.client(client), count })),
    };
  }

  #notes(names) {
    return notesSince()
      .filter(notesOf(names, this.#guard))
      .slice(-MOST.notes)
      .map((one) => this.shown(one));
  }

  /** A note with its client's key as it is shown. */
  shown({ client, ...note }) {
    return typeof client === 'string' ? { ...note, ...this.client(client) } : note;
  }
}

function processNow() {
  const { rss, heapTotal, external } = process.memoryUsage();
  return {
    pid: process.pid,
    node: process.versions.node,
    uptimeS: Math.round(process.uptime()),
    rss,
    heapTotal,
    external,
  };
}

function guardNow(guard) {
  const handle = native.openGuard(guard.name, undefined);
  const counts = native.guardCounts(handle);
  native.releaseGuard(handle);
  const named = Object.entries(GUARD_COUNTERS).map(([counter, code]) => [counter, counts[code]]);
  return { ...guard, ...Object.fromEntries(named) };
}

function limiterNow(limiter) {
  return {
    ...limiter.stats(),
    id: seal({ kind: 'limiter', name: limiter.name }),
    limits: limiter[kLimits](),
    // null where a server keeps the counts: nothing tells at once.
    dryRun: limiter[kIsAwaited] ? null : limiter.peek(NO_KEY).wouldRefuse !== undefined,
  };
}

function breakerNow(breaker) {
  const { name } = breaker;
  const { circuits, others } = breaker[kForemost](MOST.circuits);
  return {
    ...breaker.stats(),
    circuits: circuits.map((one) => ({
      ...one,
      id: seal({ kind: 'circuit', name, target: one.target }),
    })),
    circuitsLeftOut: others,
  };
}

function brokerNow(name) {
  const overview = native.brokerOverview(name);
  if (overview === null || overview === undefined) return null;
  const peers = overview.peers.map(({ roundTrips, ...peer }) => {
    return { ...peer, answers: recentRoundTrips(`${name} ${peer.number}`, roundTrips) };
  });
  return { name, ...overview, peers };
}

function lifecycleNow(name) {
  const overview = native.lifecycleOverview(name);
  return overview && { name, ...overview, state: STATES[overview.state] };
}

function seriesNow({ name, first, rows }) {
  return { name, first, rows: Array.from(rows) };
}

/** The instances of a kind that exist, each as `describe` has it. One may be destroyed meanwhile. */
function some(names, kind, describe) {
  return names
    .map((name) => {
      const object = attached(kind, name);
      try {
        return object === null ? null : { name, ...describe(object) };
      } catch {
        return null;
      }
    })
    .filter(isThere);
}

function isThere(value) {
  return value !== null && value !== undefined;
}

function finite(value) {
  return Number.isFinite(value) ? value : null;
}

module.exports = { Snapshots };
