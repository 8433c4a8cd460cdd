'use strict';

const { owned } = require('../runtime/schema');
const { SecurityMonitor } = require('../security-monitor');
const { Admission } = require('./admission');
const { BanGate } = require('./ban-gate');
const { ConcurrencyGate } = require('./concurrency-gate');
const { ConnectionGate } = require('./connection-gate');
const { Cors } = require('./cors');
const { OverloadGate } = require('./overload-gate');
const { RateGate } = require('./rate-gate');
const { RequestClient } = require('./request-client');
const { ServerGate } = require('./server-gate');

const NO_SEMAPHORES = { max: null, maxPerClient: null };

/**
 * Opens what a guard decides by. `owner` is what error messages call the caller. A part that the options do not ask for is
 * null; `semaphores` has those of `concurrency`. `limited` is the limiter of the guard, `rates` opens those of routes too.
 * `needsClient` says whether more than the rate depends on the client.
 */
function openParts(owner, options, counts) {
  const { cors, headers, name, rateLimit, dryRun } = options;
  const client = new RequestClient(options);
  const corsPart = cors === undefined ? null : new Cors(cors, headers);
  const instances = openInstances(options, client, counts);
  const { bans, connections, concurrency } = instances;
  const serverGate = openServerGate(options, instances, counts);
  const admission = new Admission({ client, bans, connections, serverGate, counts, dryRun });
  const rates = openRates(owner, options, counts);
  const limited = rates.limited(name, rateLimit);
  return {
    ...instances,
    counts,
    cors: corsPart,
    serverGate,
    admission,
    rates,
    limited,
    semaphores: concurrency?.semaphores ?? NO_SEMAPHORES,
    needsClient: [bans, connections, concurrency, instances.monitor].some((part) => part !== null),
  };
}

/** The named instances other than limiters: all threads share them. */
function openInstances(options, client, counts) {
  const connections = openConnections(options);
  const bans = openBans(options, client);
  const concurrency = openConcurrency(options, counts);
  const overload = openOverload(options, counts);
  return { connections, bans, concurrency, monitor: openMonitor(options, bans), overload };
}

function openServerGate(options, { bans, connections, monitor }, counts) {
  // What is recorded of answers may change later.
  const readsAnswers = bans !== null || monitor !== null || options.countOnly !== undefined;
  return new ServerGate({ bans, connections, counts, options, readsAnswers });
}

/** Where requests in progress are counted, a request that the rate allows may still be refused. */
function openRates(owner, { dryRun, onMismatch, scope, concurrency }, counts) {
  return new RateGate(owner, { dryRun, counts, onMismatch, scope, countsAllowed: concurrency === false });
}

function openConcurrency({ name, concurrency, dryRun, onMismatch }, counts) {
  return concurrency === false
    ? null
    : new ConcurrencyGate(name, concurrency, { counts, dryRun, onMismatch });
}

function openConnections({ name, connections, trustedProxies, refusedBody, dryRun, onMismatch, scope }) {
  if (connections === false) return null;
  const own = { trustedProxies, observes: dryRun, refusedBody };
  return new ConnectionGate(name, inScope(partOptions(connections, onMismatch), scope), own);
}

function openBans({ name, reputation, onMismatch, scope }, client) {
  if (reputation === false) return null;
  return new BanGate(name, inScope(partOptions(reputation, onMismatch), scope), client);
}

/** The options of a part, with the guard's scope unless it has its own. */
function inScope(options, scope) {
  return typeof options === 'object' && scope !== undefined ? owned({ scope }, options) : options;
}

function openOverload({ name, overload, dryRun, onMismatch }, counts) {
  return overload === false
    ? null
    : new OverloadGate(name, partOptions(overload, onMismatch), { counts, dryRun });
}

/** Rules that ban do so in the guard's reputation, unless they name another. */
function openMonitor({ name, monitor, onMismatch }, bans) {
  if (monitor === false) return null;
  if (typeof monitor === 'string') return new SecurityMonitor(monitor);
  const own = partOptions(monitor, onMismatch);
  if (bans === null || !hasBanningRule(own)) return new SecurityMonitor(name, own);
  return new SecurityMonitor(name, owned({ reputation: bans.reputation.name }, own));
}

function hasBanningRule(options) {
  return Array.isArray(options?.rules) && options.rules.some((rule) => rule?.action === 'ban');
}

/** The options of a part, with the guard's `onMismatch` unless it has its own. */
function partOptions(options, onMismatch) {
  return typeof options === 'object' && onMismatch !== undefined ? owned({ onMismatch }, options) : options;
}

module.exports = { openParts };
