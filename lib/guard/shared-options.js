'use strict';

const { invalidOption } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { openNamed } = require('../runtime/on-mismatch');
const { owned } = require('../runtime/schema');
const { DEFAULT_RECORD } = require('./record-options');

/** What all threads of a guard agree on. */
const SHARED = [
  'rateLimit',
  'connections',
  'reputation',
  'monitor',
  'record',
  'trustedProxies',
  'clientAddress',
  'dryRun',
];

/** Those of them that another construction may change. */
const CHANGEABLE = ['record', 'trustedProxies', 'clientAddress'];

const DEFAULT_RATE_LIMIT = owned({ limit: 100, window: '1m' });
const DEFAULT_CLIENT_ADDRESS = 'x-forwarded-for';

/**
 * What all threads of a guard agree on. `options` are complete: what was left out is as the guard of this
 * name has it (`undefined` for a part that is to be attached to), or the default where there is none yet.
 */
class SharedOptions {
  #name;
  #text;
  #handle;
  #attaches;

  /** Fails when an option differs from the guard that exists, before anything is made. */
  constructor(owner, given) {
    const { name } = given;
    this.#name = name;
    const isGiven = SHARED.some((option) => given[option] !== undefined);
    const existing = native.guardOptions(name, isGiven) ?? undefined;
    const chosen = existing === undefined ? withDefaults(given) : withExisting(owner, given, existing);
    checkClientAddress(owner, given, chosen);
    this.#text = textOf(name, chosen, existing);
    this.options = chosen;
    this.#attaches = existing !== undefined && !isGiven;
    if (existing !== undefined) this.#handle = this.#open();
  }

  /** The options that may change while the guard lives, where another construction has changed them; else `undefined`. */
  changed() {
    const existing = native.guardOptions(this.#name, true) ?? undefined;
    const before = this.#text;
    if (existing === undefined || CHANGEABLE.every((option) => existing[option] === before[option])) {
      return undefined;
    }
    this.#text = existing;
    const record = owned(JSON.parse(existing.record));
    const trustedProxies = JSON.parse(existing.trustedProxies);
    // A function stays: each thread gives its own.
    if (existing.clientAddress === FUNCTION) return owned({ record, trustedProxies });
    return owned({ record, trustedProxies, clientAddress: JSON.parse(existing.clientAddress) });
  }

  /** The guard itself, made when its parts have been: a mistake in one of them leaves no guard behind. */
  open() {
    this.#handle ??= this.#open();
    return this.#handle;
  }

  #open() {
    // Without any options it only attaches, where there is a guard.
    const text = this.#attaches ? undefined : this.#text;
    const open = (reconfigures) => native.openGuard(this.#name, text, reconfigures);
    return openNamed('guard', this.#name, this.options, open);
  }
}

function withDefaults(given) {
  const { rateLimit = DEFAULT_RATE_LIMIT, connections = false, reputation = false, monitor = false } = given;
  const { record = DEFAULT_RECORD, trustedProxies = [], dryRun = false } = given;
  const { clientAddress = DEFAULT_CLIENT_ADDRESS } = given;
  const client = { record, trustedProxies, clientAddress };
  return owned(given, { rateLimit, connections, reputation, monitor, dryRun }, client);
}

function withExisting(owner, given, existing) {
  const { rateLimit = existing.rateLimit === 'false' ? false : undefined } = given;
  if (rateLimit === undefined && existing.rateLimit === 'by request') {
    throw invalidOption(
      `${owner} rateLimit`,
      undefined,
      "the limiter's options: its limit is a function, which each thread must give",
    );
  }
  const { connections = existing.connections === 'false' ? false : undefined } = given;
  const { reputation = JSON.parse(existing.reputation), monitor = JSON.parse(existing.monitor) } = given;
  const {
    record = owned(JSON.parse(existing.record)),
    trustedProxies = JSON.parse(existing.trustedProxies),
  } = given;
  const { dryRun = JSON.parse(existing.dryRun) } = given;
  const { clientAddress = headerOf(owner, existing) } = given;
  const client = { record, trustedProxies, clientAddress };
  return owned(given, { rateLimit, connections, reputation, monitor, dryRun }, client);
}

function headerOf(owner, { clientAddress }) {
  if (clientAddress !== FUNCTION) return JSON.parse(clientAddress);
  throw invalidOption(`${owner} clientAddress`, undefined, 'the function, which each thread must give');
}

/** A header is believed from trusted proxies only, so one that is named without any would never be read. */
function checkClientAddress(owner, { clientAddress }, { trustedProxies }) {
  if (typeof clientAddress !== 'string' || trustedProxies.length > 0) return;
  const accepted = 'a header together with `trustedProxies`, which it is believed from; or a function';
  throw invalidOption(`${owner} clientAddress`, clientAddress, accepted);
}

/** As text, what only its own thread can call. */
const FUNCTION = 'a function';

/** The same text where the same is meant. What is in a part's options is for the part to compare. */
function textOf(name, options, existing) {
  const { rateLimit, connections, reputation, monitor, record, trustedProxies, clientAddress, dryRun } =
    options;
  return {
    rateLimit: rateLimit === undefined ? existing.rateLimit : kindOfLimit(rateLimit),
    connections: connections === undefined ? existing.connections : kindOf(connections),
    reputation: JSON.stringify(nameOf(name, reputation)),
    monitor: JSON.stringify(nameOf(name, monitor)),
    record: JSON.stringify(record),
    trustedProxies: JSON.stringify([...trustedProxies].sort()),
    clientAddress: typeof clientAddress === 'function' ? FUNCTION : JSON.stringify(clientAddress),
    dryRun: JSON.stringify(dryRun),
  };
}

function kindOf(part) {
  return part === false ? 'false' : 'options';
}

function kindOfLimit(rateLimit) {
  return rateLimit !== false && typeof rateLimit.limit === 'function' ? 'by request' : kindOf(rateLimit);
}

/** A part with options of its own has the guard's name. */
function nameOf(name, part) {
  return part === false || typeof part === 'string' ? part : name;
}

module.exports = { SharedOptions };
