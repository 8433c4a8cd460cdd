'use strict';

const { kCircuit } = require('../circuit-breaker/symbols');
const { kIsAwaited, kLimits } = require('../rate-limiter/symbols');
const { SluiceError } = require('../runtime/errors');
const { attached } = require('./attached');
const { inTime } = require('./awaited');
const { notesSince } = require('./journal');
const { seal } = require('./opaque-ids');
const { namesIn, notesOf } = require('./scope');
const { isAddress } = require('./shown-keys');

const MOST_EVENTS = 100;
const MOST_CONNECTIONS = 50;

/** Codes of a server that did not answer. */
const AWAY = new Set(['ERR_SLUICE_SCOPE_UNAVAILABLE', 'ERR_SLUICE_BACKPRESSURE']);

/**
 * All that is known of one client in a scope: what remains of each limiter, connections, verdicts, counts of events, its
 * circuits, and a timeline. `snapshots` says how keys are shown. `notAsked` names the limiters whose counts are on a server
 * that did not answer.
 */
async function clientReport(key, guard, snapshots) {
  const names = namesIn(guard);
  const each = (kind, describe) =>
    (names[kind] ?? []).map((name) => unlessGone(name, kind, describe)).filter((one) => one !== undefined);
  const ofAddresses = (kind, describe) => (isAddress(key) ? each(kind, describe) : []);
  const { limiters, notAsked } = await quotas(key, names.RateLimiter ?? []);
  return {
    ...snapshots.client(key),
    at: Date.now(),
    limiters,
    notAsked,
    connections: each('ConnectionTracker', (tracker) => connections(tracker, key)),
    verdicts: ofAddresses('Reputation', (reputation) => verdict(reputation.check(key))),
    events: ofAddresses('SecurityMonitor', (monitor) => ({ counts: monitor.countsFor(key) })),
    circuits: each('CircuitBreaker', (breaker) => circuit(breaker, key)),
    timeline: timeline(key, names, { guard, snapshots }),
  };
}

/** `undefined` for an instance that was destroyed, or to which the client's key means nothing. */
function unlessGone(name, kind, describe) {
  const object = attached(kind, name);
  try {
    const described = object === null ? undefined : describe(object);
    return described === undefined ? undefined : { name, ...described };
  } catch {
    return undefined;
  }
}

/** What remains of each limiter, `{ limiters, notAsked }`. Those of a server are asked at once. */
async function quotas(key, names) {
  const asked = await Promise.all(
    names.map(async (name) => {
      const limiter = attached('RateLimiter', name);
      try {
        return limiter === null ? undefined : { name, ...(await quota(limiter, key)) };
      } catch (error) {
        return AWAY.has(error.code) ? { notAsked: name } : undefined;
      }
    }),
  );
  const limiters = asked.filter((one) => one !== undefined && one.notAsked === undefined);
  return { limiters, notAsked: asked.map((one) => one?.notAsked).filter((name) => name !== undefined) };
}

async function quota(limiter, key) {
  const decision = limiter[kIsAwaited] ? await askServer(limiter, key) : limiter.peek(key);
  return {
    id: seal({ kind: 'limiter', name: limiter.name }),
    limits: limiter[kLimits](),
    ...decision,
    retryAfterMs: Number.isFinite(decision.retryAfterMs) ? decision.retryAfterMs : null,
  };
}

/** A decision of this process, in place of the server, says nothing about the client. */
async function askServer(limiter, key) {
  const { source, degraded, ...decision } = await inTime(limiter.peekAsync(key));
  if (!degraded) return decision;
  throw new SluiceError('SCOPE_UNAVAILABLE', 'the server was not asked');
}

function connections(tracker, key) {
  const count = tracker.countFor(key);
  const open = count === 0 ? [] : tracker.list({ client: key, limit: MOST_CONNECTIONS });
  return { count, open: open.map(({ id, openedAt }) => ({ id, openedAt })) };
}

function verdict({ until, retryAfterMs, ...verdict }) {
  const isForever = verdict.banned && !Number.isFinite(until);
  const ends = isForever ? { until: null, retryAfterMs: null } : { until, retryAfterMs };
  return { ...verdict, ...ends, isForever };
}

/** Only of a target that was called. */
function circuit(breaker, key) {
  const found = breaker[kCircuit](key);
  if (found === undefined) return undefined;
  return { ...found, id: seal({ kind: 'circuit', name: breaker.name, target: key }) };
}

/** What monitors recorded of the client, and what the journal has, the newest first. */
function timeline(key, names, { guard, snapshots }) {
  const noted = notesSince()
    .filter(notesOf(names, guard))
    .filter(({ client, target }) => client === key || target === key)
    .map((note) => snapshots.shown(note));
  const all = [...recorded(key, names), ...noted];
  return all.sort((a, b) => b.at - a.at).slice(0, MOST_EVENTS);
}

function recorded(key, names) {
  if (!isAddress(key)) return [];
  return (names.SecurityMonitor ?? []).flatMap((name) => {
    try {
      const events = attached('SecurityMonitor', name)?.history({ ip: key, limit: MOST_EVENTS }) ?? [];
      return events.map(({ event, detail, at }) => ({ type: 'event', source: name, event, detail, at }));
    } catch {
      return [];
    }
  });
}

module.exports = { clientReport };
