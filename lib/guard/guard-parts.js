'use strict';

const { owned } = require('../runtime/schema');
const { SecurityMonitor } = require('../security-monitor');
const { BanGate } = require('./ban-gate');
const { ConcurrencyGate } = require('./concurrency-gate');
const { ConnectionGate } = require('./connection-gate');
const { OverloadGate } = require('./overload-gate');

/**
 * Opens the parts of a guard other than its limiters: named instances that all threads share. A part that the options do
 * not ask for is null.
 */
function openParts(options, client, counts) {
  const connections = openConnections(options);
  const bans = openBans(options, client);
  const concurrency = openConcurrency(options, counts);
  const overload = openOverload(options, counts);
  return { connections, bans, concurrency, monitor: openMonitor(options, bans), overload };
}

function openConcurrency({ name, concurrency, dryRun, onMismatch }, counts) {
  return concurrency === false
    ? null
    : new ConcurrencyGate(name, concurrency, { counts, dryRun, onMismatch });
}

function openConnections({ name, connections, trustedProxies, refusedBody, dryRun, onMismatch }) {
  if (connections === false) return null;
  const own = { trustedProxies, observes: dryRun, refusedBody };
  return new ConnectionGate(name, partOptions(connections, onMismatch), own);
}

function openBans({ name, reputation, onMismatch, scope }, client) {
  if (reputation === false) return null;
  return new BanGate(name, inScope(partOptions(reputation, onMismatch), scope), client);
}

/** The options of a part, with the guard's scope where that is of the fleet, unless it has its own. */
function inScope(options, scope) {
  return typeof options === 'object' && scope?.redis !== undefined ? owned({ scope }, options) : options;
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
