'use strict';

const { schemaOf } = require('../runtime/declared-options');
const { HIT_CALL, LARGE_HIT_CALL, LARGE_HITS } = require('../runtime/layouts');
const { handlesOf, integers, native, numbers } = require('../runtime/native');
const { onMismatch, openNamed } = require('../runtime/on-mismatch');
const { checkName, checkOptions } = require('../runtime/schema');
const { readHits } = require('./answer');
const { checkKey, checkCount, checkHits, checkRule, checkTime, checkWindow } = require('./arguments');
const { kEnds } = require('./symbols');

const { HANDLE } = HIT_CALL;
const { COUNT, LEFT, ENDS } = LARGE_HITS;
const { NOW, N, WINDOW, ABOVE, EXCEEDING_WINDOW, ONCE, DOUBLE } = LARGE_HIT_CALL;
const { addHits, deleteHits, getHits, setHits, takeHitsBack } = native;
/** The time is that of the process. */
const PROCESS_TIME = -1;

const SCHEMA = schemaOf('HitCounter', { onMismatch });

/** A native handle is released when the last object of this thread that stands for it is collected. */
const collected = handlesOf(native.releaseHitCounter);

class HitCounter {
  #name;
  #handle;

  constructor(name, options) {
    checkName('HitCounter', name);
    this.#name = name;
    const checked = options === undefined ? undefined : checkOptions('HitCounter', options, SCHEMA);
    const open = (reconfigures) => native.openHitCounter(name, checked, reconfigures);
    this.#handle = openNamed('HitCounter', name, options, open);
    collected.register(this, this.#handle);
  }

  static destroy(name) {
    checkName('HitCounter', name);
    return native.destroyHitCounter(name);
  }

  get name() {
    return this.#name;
  }

  add(key, n = 1, windowMs, rule, now) {
    // Checked before anything is left for the native call: a getter of `rule` may call it as well.
    const hits = checkHits(n);
    const window = checkWindow('windowMs', windowMs);
    const exceeding = rule === undefined ? undefined : checkRule(rule);
    const time = now === undefined ? PROCESS_TIME : checkTime(now);
    integers[HANDLE] = this.#handle;
    if (exceeding === undefined && time === PROCESS_TIME && isInteger32(hits) && isInteger32(window)) {
      integers[HIT_CALL.N] = hits;
      integers[HIT_CALL.WINDOW] = window;
    } else {
      leaveLargeHit(hits, window, exceeding, time);
    }
    addHits(key);
    return readHits();
  }

  /** When the window of the last `add` or `get` of this thread ends, in UTC milliseconds; read it before the next call. */
  get [kEnds]() {
    return numbers[ENDS];
  }

  takeBack(key, n = 1, now = undefined) {
    const hits = checkCount('n', n, 0);
    this.#call(now);
    numbers[N] = hits;
    takeHitsBack(key);
  }

  get(key, now) {
    this.#call(now);
    return getHits(key) ? { count: numbers[COUNT], leftMs: numbers[LEFT] } : null;
  }

  set(key, count, windowMs, now) {
    const hits = checkCount('count', count, undefined);
    const window = checkWindow('windowMs', windowMs);
    this.#call(now);
    numbers[N] = hits;
    numbers[WINDOW] = window;
    return setHits(key);
  }

  delete(key, now) {
    this.#call(now);
    return deleteHits(key);
  }

  clear() {
    native.clearHitCounter(this.#handle);
  }

  get size() {
    return this.stats().size;
  }

  stats() {
    return native.hitCounterStats(this.#handle);
  }

  dump(now) {
    const time = now === undefined ? PROCESS_TIME : checkTime(now);
    return native.dumpHitCounter(this.#handle, time).map(({ key, count, leftMs }) => ({
      key: textOf(key),
      count,
      leftMs,
    }));
  }

  restore(dumped, now) {
    // All are checked before the first is set, so an error sets none.
    const entries = Array.from(dumped, ({ key, count, leftMs }) => ({
      key: checkKey(key),
      count: checkCount('count', count, undefined),
      leftMs: checkWindow('leftMs', leftMs),
    }));
    for (const { key, count, leftMs } of entries) this.set(key, count, leftMs, now);
  }

  #call(now) {
    numbers[NOW] = now === undefined ? PROCESS_TIME : checkTime(now);
    integers[HANDLE] = this.#handle;
  }
}

function isInteger32(number) {
  return (number | 0) === number;
}

/** For a call that is not of integers alone. */
function leaveLargeHit(n, windowMs, rule, time) {
  integers[HIT_CALL.WINDOW] = 0;
  numbers[NOW] = time;
  numbers[N] = n;
  numbers[WINDOW] = windowMs;
  if (rule === undefined) {
    numbers[ABOVE] = Number.NaN;
    return;
  }
  numbers[ABOVE] = rule.above;
  numbers[EXCEEDING_WINDOW] = rule.windowMs;
  numbers[ONCE] = rule.once ? 1 : 0;
  numbers[DOUBLE] = rule.double ? 1 : 0;
}

/** The text of code units, also where it is no valid UTF-16. */
function textOf(units) {
  return Buffer.from(units.buffer, units.byteOffset, units.byteLength).toString('utf16le');
}

module.exports = { HitCounter };
