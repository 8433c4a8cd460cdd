'use strict';

const { HitCounter } = require('../hit-counter');
const { CheckedRule } = require('../hit-counter/arguments');
const { kEnds } = require('../hit-counter/symbols');
const { SluiceError, invalid, invalidOption } = require('../runtime/errors');
const { checkName, checkOptions, owned } = require('../runtime/schema');

/** As they were when the package was loaded. */
const RealDate = Date;
const { now: realNow } = Date;

/** Limits beyond this are not reached before the count stays at its end. */
const MOST = 1_000_000_000;

/**
 * The time for a call: that of the process, unless the runner of a test has replaced `Date`. Then its clock is the one that
 * the test moves.
 */
function timeOfCall() {
  return Date === RealDate && Date.now === realNow ? undefined : Date.now();
}

/** The counter behind one store. Stores of one name share it over all threads. */
class StoreCounter {
  #counter;
  /** The last rule as given, and checked: most calls of a limiter give the same. */
  #given;
  #checked;

  constructor(name, options) {
    this.#counter = new HitCounter(name, options);
  }

  get counter() {
    return this.#counter;
  }

  /** Counts `n` hits. The count is a safe integer also where a full table denies: then it is above every limit. */
  add(key, n, windowMs, rule) {
    const hits = this.#counter.add(keyOf(key), n, windowMs, this.#checkedRule(rule), timeOfCall());
    if (hits.count > MOST) hits.count = Math.min(hits.count, Number.MAX_SAFE_INTEGER);
    return hits;
  }

  /** When the window of the last call ends, in UTC milliseconds. */
  get ends() {
    return this.#counter[kEnds];
  }

  takeBack(key, n) {
    this.#counter.takeBack(keyOf(key), n, timeOfCall());
  }

  get(key) {
    return this.#counter.get(keyOf(key), timeOfCall());
  }

  set(key, count, windowMs) {
    return this.#counter.set(keyOf(key), count, windowMs, timeOfCall());
  }

  delete(key) {
    return this.#counter.delete(keyOf(key), timeOfCall());
  }

  clear() {
    this.#counter.clear();
  }

  /** The keys whose window runs, with `keepKeys`. */
  dump() {
    return this.#counter.dump(timeOfCall()).map((hits) => ({ ...hits, key: givenKey(hits.key) }));
  }

  #checkedRule(rule) {
    if (rule === undefined) return undefined;
    if (this.#given === undefined || !isSameRule(rule, this.#given)) {
      this.#checked = new CheckedRule(rule);
      this.#given = rule;
    }
    return this.#checked;
  }
}

function isSameRule(a, b) {
  return a.above === b.above && a.windowMs === b.windowMs && a.once === b.once && a.double === b.double;
}

/** How `keyOf` begins the text of a number. */
const NUMBER = '\0number ';

/** A store takes any value for a key; a counter takes texts. Texts are their own keys. */
function keyOf(key) {
  return typeof key === 'string' && key !== '' ? key : `\0${typeof key} ${textOf(key)}`;
}

/** The text of a key that is none. */
function textOf(key) {
  try {
    return String(key);
  } catch {
    throw invalid('INVALID_KEY', 'key', key, 'a value that String() makes a text of');
  }
}

/** The key that `keyOf` made this text of; of those that are no texts, numbers only. */
function givenKey(text) {
  return text.startsWith(NUMBER) ? Number(text.slice(NUMBER.length)) : text;
}

/** A limit that counts can exceed. */
function checkLimit(option, limit) {
  if (limit <= MOST) return limit;
  throw invalidOption(option, limit, `at most ${MOST}: counts go no further`);
}

/** The error of a store that a version of its limiter calls in another way than it supports. */
function unsupportedCall(store, call, versions) {
  return new SluiceError(
    'UNSUPPORTED_VERSION',
    `${store} was called as ${call}, as by another version of its limiter; accepted: ${versions}`,
  );
}

/** Options of a store: its name, and those of the counter. */
function storeOptions(owner, options, defaultName) {
  const { name = defaultName, ...ofCounter } = checkOptions(owner, options, OPTIONS);
  checkName(owner, name);
  return { name, counter: owned(ofCounter) };
}

const any = (value) => value;
/** The counter checks its own. */
const OPTIONS = { name: any, maxKeys: any, overflow: any, keepKeys: any, onMismatch: any };

module.exports = { StoreCounter, checkLimit, storeOptions, textOf, unsupportedCall };
