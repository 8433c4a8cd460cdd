'use strict';

const { invalidOption } = require('../errors');
const { native } = require('../native');
const { DEFAULT_RECORD } = require('./record-options');

const DEFAULT_RATE_LIMIT = { limit: 100, window: '1m' };
const DEFAULT_CLIENT_ADDRESS = 'x-forwarded-for';

/**
 * What all threads of a guard agree on. `options` are complete: what was left out is as the guard of this
 * name has it (`undefined` for a part that is to be attached to), or the default where there is none yet.
 */
class SharedOptions {
  #name;
  #text;
  #handle;

  /** Fails when an option differs from the guard that exists, before anything is made. */
  constructor(owner, given) {
    const { name } = given;
    this.#name = name;
    const existing = native.guardOptions(name) ?? undefined;
    const chosen = existing === undefined ? withDefaults(given) : withExisting(owner, given, existing);
    checkClientAddress(owner, given, chosen);
    this.#text = textOf(name, chosen, existing);
    this.options = chosen;
    if (existing !== undefined) this.#handle = native.openGuard(name, this.#text);
  }

  /** The guard itself, made when its parts have been: a mistake in one of them leaves no guard behind. */
  open() {
    this.#handle ??= native.openGuard(this.#name, this.#text);
    return this.#handle;
  }
}

function withDefaults(given) {
  const { rateLimit = DEFAULT_RATE_LIMIT, connections = false, reputation = false, monitor = false } = given;
  const { record = DEFAULT_RECORD, trustedProxies = [], dryRun = false } = given;
  const { clientAddress = DEFAULT_CLIENT_ADDRESS } = given;
  return {
    ...given,
    ...{ rateLimit, connections, reputation, monitor, record, trustedProxies, clientAddress, dryRun },
  };
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
  const { record = JSON.parse(existing.record), trustedProxies = JSON.parse(existing.trustedProxies) } =
    given;
  const { dryRun = JSON.parse(existing.dryRun) } = given;
  const { clientAddress = headerOf(owner, existing) } = given;
  return {
    ...given,
    ...{ rateLimit, connections, reputation, monitor, record, trustedProxies, clientAddress, dryRun },
  };
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
  return typeof rateLimit.limit === 'function' ? 'by request' : kindOf(rateLimit);
}

/** A part with options of its own has the guard's name. */
function nameOf(name, part) {
  return part === false || typeof part === 'string' ? part : name;
}

module.exports = { SharedOptions };
