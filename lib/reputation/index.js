'use strict';

const { fileURLToPath } = require('node:url');
const { getSystemErrorMap } = require('node:util');
const { processScope } = require('../runtime/process-scope');
const { checkDeclared, schemaOf } = require('../runtime/declared-options');
const { invalid, invalidOption } = require('../runtime/errors');
const { REPUTATION_RULES, VERDICT } = require('../runtime/layouts');
const { handlesOf, native, numbers } = require('../runtime/native');
const { onMismatch, openNamed } = require('../runtime/on-mismatch');
const {
  checkName,
  checkOptions,
  integer,
  parseDuration,
  requireOptions,
  strings,
} = require('../runtime/schema');

const { BANNED, UNTIL, RETRY_AFTER, FAILURES, BANS, RULE } = VERDICT;
const RULES = Object.keys(REPUTATION_RULES);

const MAX_REASON_LENGTH = 256;

const SCHEMA = schemaOf('Reputation', { scope: processScope, onMismatch });

const FAILURE = { weight: integer(1), reason };
const BAN = { duration: (value, option) => parseDuration(value, option, { forever: true }), reason };
const LISTS = { allow: strings, deny: strings };

/** Releases a handle when the last object of this thread that uses it is collected. */
const collected = handlesOf(native.releaseReputation);

class Reputation {
  #name;
  #handle;

  constructor(name, options) {
    checkName('Reputation', name);
    this.#name = name;
    const checked = options === undefined ? undefined : sharedOptions(options);
    const open = (reconfigures) => native.openReputation(name, checked, reconfigures);
    this.#handle = openNamed('Reputation', name, options, open);
    collected.register(this, this.#handle);
  }

  static destroy(name) {
    checkName('Reputation', name);
    return native.destroyReputation(name);
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
    return native.listBans(this.#handle).map(({ client, until, retryAfterMs, reason = null }) => {
      return { client, until, retryAfterMs, reason };
    });
  }

  setLists(lists) {
    const { allow = [], deny = [] } = checkOptions('setLists', lists, LISTS);
    native.setReputationLists(this.#handle, allow, deny);
  }

  save(path) {
    const file = fileOf('save', path);
    throwIfFailed(native.saveReputation(this.#handle, file), file);
  }

  load(path) {
    const file = fileOf('load', path);
    throwIfFailed(native.loadReputation(this.#handle, file), file);
  }

  stats() {
    return native.reputationStats(this.#handle);
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
function sharedOptions(options) {
  const { onMismatch: _, ...shared } = checkDeclared('Reputation', options, SCHEMA);
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

function fileOf(owner, path) {
  const file = path instanceof URL ? pathOf(path) : path;
  if (typeof file === 'string' && file !== '' && !file.includes('\0')) return file;
  const given = path instanceof URL ? path.href : path;
  throw invalidOption(`${owner} path`, given, 'the path of a file as a string, or a file URL');
}

/** The path of a file URL; `undefined` for any other URL. */
function pathOf(url) {
  try {
    return fileURLToPath(url);
  } catch {
    return undefined;
  }
}

/** Throws the error that `node:fs` would throw. */
function throwIfFailed(failure, path) {
  if (failure === null || failure === undefined) return;
  const { errno, syscall } = failure;
  const [code, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  const error = new Error(`${code}: ${text}, ${syscall} '${path}'`);
  throw Object.assign(error, { errno: -errno, code, syscall, path });
}

module.exports = { Reputation };
