'use strict';

const { invalidOption } = require('../errors');
const { native } = require('../native');
const { owned } = require('../options');
const { DEFAULT_RECORD } = require('./record-options');

const DEFAULT_RATE_LIMIT = owned({ limit: 100, window: '1m' });

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
  return owned(given, { rateLimit, connections, reputation, monitor, record, trustedProxies, dryRun });
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
  return owned(given, { rateLimit, connections, reputation, monitor, record, trustedProxies, dryRun });
}

/** The same text where the same is meant. What is in a part's options is for the part to compare. */
function textOf(name, options, existing) {
  const { rateLimit, connections, reputation, monitor, record, trustedProxies, dryRun } = options;
  return {
    rateLimit: rateLimit === undefined ? existing.rateLimit : kindOfLimit(rateLimit),
    connections: connections === undefined ? existing.connections : kindOf(connections),
    reputation: JSON.stringify(nameOf(name, reputation)),
    monitor: JSON.stringify(nameOf(name, monitor)),
    record: JSON.stringify(record),
    trustedProxies: JSON.stringify([...trustedProxies].sort()),
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
