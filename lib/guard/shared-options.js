'use strict';

const { invalidOption } = require('../runtime/errors');
const { OPTIONS } = require('../runtime/layouts');
const { native } = require('../runtime/native');
const { openNamed } = require('../runtime/on-mismatch');
const { owned } = require('../runtime/schema');
const { DEFAULT_RECORD } = require('./record-options');

/** The options that all threads of a guard agree on. */
const SHARED = Object.keys(OPTIONS.guard);

const DEFAULTS = owned({
  rateLimit: owned({ limit: 100, window: '1m' }),
  connections: false,
  concurrency: false,
  reputation: false,
  monitor: false,
  record: DEFAULT_RECORD,
  trustedProxies: [],
  clientAddress: 'x-forwarded-for',
  overload: false,
  dryRun: OPTIONS.guard.dryRun.default,
});

/**
 * The options that all threads of a guard agree on. `options` are complete: those that were left out are the existing
 * guard's (`undefined` for a part to attach to), or the defaults where there is no guard yet.
 */
class SharedOptions {
  #name;
  /** As native code takes them. */
  #shared;
  #handle;
  #attaches;

  /** Fails when an option differs from the guard that exists, before any part is created. */
  constructor(owner, given) {
    const { name } = given;
    this.#name = name;
    const isGiven = SHARED.some((option) => given[option] !== undefined);
    const existing = native.guardOptions(name, isGiven) ?? undefined;
    const chosen = existing === undefined ? withDefaults(given) : withExisting(owner, given, owned(existing));
    checkClientAddress(owner, given, chosen);
    this.#shared = toNative(name, chosen, existing);
    this.options = chosen;
    this.#attaches = existing !== undefined && !isGiven;
    if (existing !== undefined) this.#handle = this.#open();
  }

  /** The options that may change, where another construction has changed them; else `undefined`. */
  changed() {
    const existing = native.changedGuardOptions(this.#name, this.#shared) ?? undefined;
    if (existing === undefined) return undefined;
    const { record, trustedProxies, clientAddress } = owned(existing);
    const source = sourceOf(clientAddress);
    this.#shared = owned(this.#shared, { record, trustedProxies, clientAddress: source });
    const changed = owned({ record: recordOf(record), trustedProxies });
    // A function stays: each thread has its own.
    return clientAddress === undefined ? changed : owned(changed, { clientAddress });
  }

  /** Creates the guard itself once its parts exist: an invalid option of a part leaves no guard behind. */
  open() {
    this.#handle ??= this.#open();
    return this.#handle;
  }

  #open() {
    // Without any options it only attaches, where there is a guard.
    const shared = this.#attaches ? undefined : this.#shared;
    const open = (reconfigures) => native.openGuard(this.#name, shared, reconfigures);
    return openNamed('guard', this.#name, this.options, open);
  }
}

function withDefaults(given) {
  const complete = owned(given);
  for (const option of SHARED) complete[option] ??= DEFAULTS[option];
  return complete;
}

function withExisting(owner, given, existing) {
  if (given.rateLimit === undefined && existing.rateLimit === 'byRequest') {
    const accepted = "the limiter's options: its limit is a function, which each thread must give";
    throw invalidOption(`${owner} rateLimit`, undefined, accepted);
  }
  if (given.clientAddress === undefined && existing.clientAddress === undefined) {
    const accepted = 'the function, which each thread must give';
    throw invalidOption(`${owner} clientAddress`, undefined, accepted);
  }
  const existingOptions = {
    rateLimit: existing.rateLimit === 'off' ? false : undefined,
    connections: existing.connections === 'off' ? false : undefined,
    concurrency: existing.concurrency === undefined ? false : capsOf(existing.concurrency),
    reputation: existing.reputation ?? false,
    monitor: existing.monitor ?? false,
    record: recordOf(existing.record),
    trustedProxies: existing.trustedProxies,
    clientAddress: existing.clientAddress,
    overload: existing.overload === 'off' ? false : undefined,
    dryRun: existing.dryRun,
  };
  const complete = owned(given);
  for (const option of SHARED) complete[option] ??= existingOptions[option];
  return complete;
}

/** Only trusted proxies may name the client in a header: a header that is given without any would never be read. */
function checkClientAddress(owner, { clientAddress }, { trustedProxies }) {
  if (typeof clientAddress !== 'string' || trustedProxies.length > 0) return;
  const accepted = 'a header together with `trustedProxies`, which are trusted to send it; or a function';
  throw invalidOption(`${owner} clientAddress`, clientAddress, accepted);
}

/** The shared options as native code takes them. Each part compares its own options. */
function toNative(name, options, existing) {
  const { rateLimit, connections, concurrency, reputation, monitor, overload } = options;
  const { record, trustedProxies, clientAddress, dryRun } = options;
  return owned({
    rateLimit: rateLimit === undefined ? existing.rateLimit : limitKind(rateLimit),
    connections: connections === undefined ? existing.connections : partKind(connections),
    concurrency,
    reputation: partName(name, reputation),
    monitor: partName(name, monitor),
    record: Object.entries(record).map(([status, entry]) => owned({ status: Number(status) }, entry)),
    trustedProxies,
    clientAddress: sourceOf(typeof clientAddress === 'function' ? undefined : clientAddress),
    overload: overload === undefined ? existing.overload : partKind(overload),
    dryRun,
  });
}

/** The caps that there are. */
function capsOf({ max, maxPerClient }) {
  const caps = owned();
  if (typeof max === 'number') caps.max = max;
  if (typeof maxPerClient === 'number') caps.maxPerClient = maxPerClient;
  return caps;
}

function partKind(part) {
  return part === false ? 'off' : 'options';
}

function limitKind(rateLimit) {
  return rateLimit !== false && typeof rateLimit.limit === 'function' ? 'byRequest' : partKind(rateLimit);
}

/** A part with options of its own has the guard's name. */
function partName(name, part) {
  return part === false || typeof part === 'string' ? part : name;
}

/** A function has no header. */
function sourceOf(header) {
  return header === undefined ? owned() : owned({ header });
}

/** Native entries by status. */
function recordOf(entries) {
  return owned(
    Object.fromEntries(entries.map(({ status, event, weight, when }) => [status, { event, weight, when }])),
  );
}

module.exports = { SharedOptions };
