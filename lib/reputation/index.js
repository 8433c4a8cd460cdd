'use strict';

const { numberChange } = require('../runtime/change-numbers');
const { checkDeclared, schemaOf } = require('../runtime/declared-options');
const { invalid, invalidOption, SluiceError } = require('../runtime/errors');
const { REPUTATION_RULES, VERDICT } = require('../runtime/layouts');
const { handlesOf, native, numbers } = require('../runtime/native');
const { NONE } = require('../runtime/none');
const { onMismatch, openNamed } = require('../runtime/on-mismatch');
const {
  boolean,
  checkName,
  checkOptions,
  integer,
  parseDuration,
  requireOptions,
  strings,
} = require('../runtime/schema');

const { checkReady } = require('../rate-limiter/awaited');
const { publishEvents } = require('../observation/channels');
const { BanExpiry } = require('./ban-expiry');
const { pathOf, systemError } = require('./files');
const { keep, persistOption } = require('./persistence');
const { banScope, bansAreKnown, sharingStats, withScopeInWords } = require('./sharing');
const { kFirstBans } = require('./symbols');
const { withMachine } = require('../runtime/shared-scope');
const { SubscribedListeners } = require('../runtime/subscribed-listeners');

const { BANNED, UNTIL, RETRY_AFTER, FAILURES, BANS, RULE } = VERDICT;
const RULES = Object.keys(REPUTATION_RULES);

const MAX_REASON_LENGTH = 256;

const EVENTS = ['ban', 'unban', 'expire'];

const SCHEMA = schemaOf('Reputation', { scope: banScope, onMismatch, persist: persistOption });

/** Clients of a reputation that processes share: all of its memory is reserved when it is made. */
const SHARED_MAX_CLIENTS = 20_000;

const DESTROY = { everywhere: boolean };

const FAILURE = { weight: integer(1), reason };
const BAN = { duration: (value, option) => parseDuration(value, option, { forever: true }), reason };
const LISTS = { allow: strings, deny: strings };

/** Releases a handle when the last object of this thread that uses it is collected. */
const collected = handlesOf(native.releaseReputation);

class Reputation {
  #name;
  #handle;
  #expiry;
  #listeners = new SubscribedListeners('Reputation', EVENTS, {
    begin: (subscription) => this.#listen(subscription),
    end: (subscription) => this.#stopListening(subscription),
    emit: (delivery) => this.#notify(delivery),
    destroyed: () => this.#expiry.stop(),
  });
  /** Dropped events that no listener was notified of yet. */
  #missed = 0;

  constructor(name, options) {
    checkName('Reputation', name);
    this.#name = name;
    const checked = options === undefined ? undefined : sharedOptions(name, options);
    const { machine, native: shared } = checked?.scope ?? NONE;
    const open = (reconfigures) =>
      native.openReputation(name, withScopeInWords(checked), reconfigures, machine, shared);
    const { handle, persistence } = openNamed('Reputation', name, options, open);
    this.#handle = handle;
    collected.register(this, this.#handle);
    this.#expiry = new BanExpiry(this.#handle);
    keep(name, this, this.#handle, persistence);
    publishEvents('Reputation', this);
  }

  static destroy(name, options = {}) {
    checkName('Reputation', name);
    const { everywhere = false } = checkOptions('destroy', options, DESTROY);
    return native.destroyReputation(name, everywhere);
  }

  get name() {
    return this.#name;
  }

  isBanned(ip) {
    return native.isBanned(this.#handle, ip) === 1;
  }

  check(ip) {
    return verdict(native.checkReputation(this.#handle, ip));
  }

  recordFailure(ip, options = {}) {
    const { weight = 1, reason } = checkOptions('recordFailure', options, FAILURE);
    return verdict(native.recordFailure(this.#handle, ip, weight, reason));
  }

  recordSuccess(ip) {
    native.recordSuccess(this.#handle, ip);
  }

  ban(ipOrCidr, options) {
    checkTarget(ipOrCidr);
    const { duration, reason } = checkOptions('ban', options, BAN);
    requireOptions('ban', { duration }, ['duration']);
    const ms = duration === Number.POSITIVE_INFINITY ? undefined : duration;
    return native.banByHand(this.#handle, ipOrCidr, ms, reason);
  }

  unban(ipOrCidr) {
    checkTarget(ipOrCidr);
    return native.unban(this.#handle, ipOrCidr);
  }

  bans() {
    return this[kFirstBans]();
  }

  /** The bans that end first; without `most`, all. */
  [kFirstBans](most) {
    return native.listBans(this.#handle, most).map(({ client, until, retryAfterMs, reason = null }) => {
      return { client, until, retryAfterMs, reason };
    });
  }

  setLists(lists) {
    const { allow = [], deny = [] } = checkOptions('setLists', lists, LISTS);
    native.setReputationLists(this.#handle, allow, deny);
  }

  save(path) {
    const file = pathOf(path, 'save path');
    throwIfFailed(native.saveReputation(this.#handle, file), file);
  }

  load(path) {
    const file = pathOf(path, 'load path');
    throwIfFailed(native.loadReputation(this.#handle, file), file);
  }

  stats() {
    const stats = withMachine(native.reputationStats(this.#handle));
    const fleet = sharingStats(this.#handle);
    return fleet === undefined ? stats : { ...stats, fleet };
  }

  async ready(options = {}) {
    await bansAreKnown(this.#handle, checkReady(options));
  }

  on(event, listener) {
    this.#listeners.add(event, listener);
    return this;
  }

  once(event, listener) {
    this.#listeners.add(event, listener, { once: true });
    return this;
  }

  off(event, listener) {
    this.#listeners.remove(event, listener);
    return this;
  }

  #listen(subscription) {
    native.subscribeToBans(this.#handle, subscription);
    this.#expiry.look();
  }

  #stopListening(subscription) {
    this.#expiry.stop();
    native.unsubscribeFromBans(this.#handle, subscription);
  }

  #notify({ missed, ban }) {
    const { number, event, isExtended, client, until, reason = null, by } = ban;
    // It may end before the one that the timer waits for. After dropped events others may as well.
    if (missed > 0 || (event === 'ban' && until !== Number.POSITIVE_INFINITY)) this.#expiry.look();
    this.#missed += missed;
    if (this.#listeners.count(event) === 0) return;
    const change = { client, until, reason, by };
    if (event === 'ban') change.extended = isExtended;
    if (this.#missed > 0) change.missed = this.#missed;
    this.#missed = 0;
    numberChange(change, number);
    this.#listeners.emit(event, change);
  }
}

/** The verdict that native code has just written. */
function verdict(reason = null) {
  const banned = numbers[BANNED] === 1;
  return {
    banned,
    until: banned ? numbers[UNTIL] : null,
    retryAfterMs: numbers[RETRY_AFTER],
    failures: numbers[FAILURES],
    bans: numbers[BANS],
    reason,
    rule: RULES[numbers[RULE]],
  };
}

/** The options that all threads share, as native code takes them. */
function sharedOptions(name, options) {
  const { onMismatch: _, ...shared } = checkDeclared('Reputation', options, SCHEMA);
  if (shared.scope?.machine === undefined) return shared;
  if (shared.persist !== undefined) {
    const what = `Reputation ${JSON.stringify(name)} has persist, and processes share it`;
    throw new SluiceError('UNSUPPORTED', `${what}; accepted: no persist: the state outlives its processes`);
  }
  shared.maxClients ??= SHARED_MAX_CLIENTS;
  return shared;
}

function reason(value, option) {
  if (typeof value === 'string' && value.length <= MAX_REASON_LENGTH && value.isWellFormed()) return value;
  const accepted = `a string of at most ${MAX_REASON_LENGTH} characters, without lone surrogates`;
  throw invalidOption(option, value, accepted);
}

function checkTarget(ipOrCidr) {
  if (typeof ipOrCidr === 'string') return;
  throw invalid('INVALID_ADDRESS', 'address', ipOrCidr, 'an address or a range of addresses, as a string');
}

/** Throws the error that `node:fs` would throw. */
function throwIfFailed(failure, path) {
  if (failure !== null && failure !== undefined) throw systemError(failure, path);
}

module.exports = { Reputation };
