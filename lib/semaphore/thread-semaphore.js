'use strict';

const { DeadlineList } = require('../runtime/deadline-list');
const { ADMITTED, DONE, REFUSED } = require('../runtime/layouts');
const { SEMAPHORE_ANSWER, SEMAPHORE_CALL, SEMAPHORE_TIMES } = require('../runtime/layouts');
const {
  integers,
  keepAlive,
  letGo,
  native,
  noAnswer,
  numbers,
  subscribe,
  unsubscribe,
} = require('../runtime/native');
const { keepFunctions, latest } = require('../runtime/promise-functions');
const { closedError, fullError, timeoutError, unmetError } = require('./errors');
const { Lookout } = require('./lookout');
const { numberOf } = require('./numbers');
const { SemaphorePermit } = require('./permit');
const { Wait } = require('./wait');

const { HANDLE, PERMITS, HAS_KEY, SUBSCRIPTION, NUMBER_HIGH, NUMBER_LOW } = SEMAPHORE_CALL;
const { ANSWER, SERIAL_HIGH, SERIAL_LOW, WAIT_HIGH, WAIT_LOW, SERVED, WATCH } = SEMAPHORE_ANSWER;
const { acquirePermits, expireWait, leaveSemaphore, lookAtSemaphore } = native;
const { releasePermits, takePermits } = native;

/** Thousandths of all permits. */
const ALL = 1000;

/** A semaphore as one thread sees it: its calls that wait. */
class ThreadSemaphore {
  /**
   * What native calls have served and this thread has not settled yet, as a list: `{ key, count, high, low, watch, next }`.
   * Written without a call, so that nothing is lost where the stack overflows.
   */
  served = undefined;
  /** Calls whose caller has an error, as the stack overflowed: `{ wait, isHeld, next }`. They are undone in a microtask. */
  #dropped = undefined;
  /** Whether a microtask undoes them. */
  #isCheckDue = false;
  #isKeptAlive = false;
  #waits = new Map();
  /** 0 while no call waits. */
  #subscription = 0;
  #deadlines = new DeadlineList({ tickMs: 1, keepsAlive: false, isDeferred: false });
  #lookout = new Lookout(
    (key) => this.#look(key),
    () => this.#awaitedKeys(),
  );

  constructor(name, handle) {
    this.name = name;
    this.handle = handle;
  }

  get hasWaits() {
    return this.#waits.size > 0;
  }

  /**
   * Permits that are free, where no call waits for them; else null. No more than `share` thousandths of all are held
   * afterwards. A refusal counts if it `isFinal`.
   */
  tryTake(key, permits, isFinal, share = ALL) {
    return SemaphorePermit.tryTake(this, key, permits, isFinal, share);
  }

  /** A promise for permits: for their object, or for their serial alone, which `release` takes. */
  wait(request, wantsSerial) {
    latest.resolve = undefined;
    const settled = new Promise(keepFunctions);
    // The stack overflowed, and the promise has rejected with that.
    if (latest.resolve === undefined) return settled;
    const wait = new Wait(this, request, wantsSerial, latest.resolve, latest.reject);
    const { key, permits } = request;
    if (!this.#isCheckDue) this.#checkSoon();
    if (this.#subscription === 0) {
      this.#subscription = subscribe(({ semaphore }) => this.#deliver(semaphore));
    }
    this.leave(key, permits);
    acquirePermits(key);
    if (integers[ANSWER] === DONE) this.#begin(wait);
    else if (integers[ANSWER] === ADMITTED) this.#acquired(wait);
    else if (integers[ANSWER] === REFUSED) throw fullError(this.name);
    else noAnswer();
    return settled;
  }

  /** Leaves what every native call of this thread needs. */
  leave(key, permits) {
    integers[HANDLE] = this.handle;
    integers[PERMITS] = permits;
    integers[HAS_KEY] = key === undefined ? 0 : 1;
    integers[SUBSCRIPTION] = this.#subscription;
  }

  /** Returns permits. Where it throws, nothing was returned. The caller settles what was served. */
  giveBack(key, permits, serial) {
    this.leave(key, permits);
    integers[NUMBER_HIGH] = serial / 2 ** 32;
    // What does not fit 32 bits is dropped.
    integers[NUMBER_LOW] = serial;
    releasePermits(key);
    // No call from here on.
    if (integers[SERVED] === 0 && integers[WATCH] === 0) return;
    this.served = {
      key,
      count: integers[SERVED],
      high: integers[WAIT_HIGH],
      low: integers[WAIT_LOW],
      watch: integers[WATCH] === 1,
      next: this.served,
    };
  }

  /** Returns permits of which this thread has no object. */
  release({ key, permits }, serial) {
    this.giveBack(key, permits, serial);
    if (this.served !== undefined) this.settleServed();
  }

  /** Settles the calls of this thread that native calls have served. */
  settleServed() {
    while (this.served !== undefined) {
      const { key, count, high, low, watch, next } = this.served;
      if (watch) this.#lookout.watch(key);
      if (count === 1) this.#grant(numberOf(high, low));
      else if (count > 1) this.#grantAll();
      this.served = next;
    }
  }

  /** The signal of a call aborted. */
  abort(wait) {
    this.#leaveLine(wait);
    wait.fail(wait.request.signal.reason);
    this.settleServed();
  }

  /** The time of a call is over. It has its permits if they were handed to it meanwhile. */
  expire(wait) {
    const isTaken = this.#ask(expireWait, wait) === ADMITTED;
    if (isTaken) wait.grant();
    this.settleServed();
    if (this.#waits.has(wait.id)) wait.fail(timeoutError(this.name, wait.request));
  }

  /** A call does not wait any more. */
  remove(wait) {
    this.#waits.delete(wait.id);
    this.#deadlines.remove(wait);
    if (this.#waits.size === 0 && !this.#isCheckDue) this.#checkSoon();
  }

  #begin(wait) {
    // Read before anything is called.
    wait.id = numberOf(integers[WAIT_HIGH], integers[WAIT_LOW]);
    wait.serial = numberOf(integers[SERIAL_HIGH], integers[SERIAL_LOW]);
    const isToWatch = integers[WATCH] === 1;
    const now = numbers[SEMAPHORE_TIMES.NOW];
    try {
      if (this.#waits.size === 0) this.#keepAlive();
      this.#waits.set(wait.id, wait);
      const { key, timeout, signal } = wait.request;
      if (signal !== undefined) wait.followSignal();
      if (timeout < Number.POSITIVE_INFINITY) this.#deadlines.add(wait, now + timeout);
      if (isToWatch) this.#lookout.watch(key);
    } catch (error) {
      this.#dropped = { wait, isHeld: false, next: this.#dropped };
      throw error;
    }
  }

  /** The call did not have to wait. */
  #acquired(wait) {
    wait.serial = numberOf(integers[SERIAL_HIGH], integers[SERIAL_LOW]);
    try {
      wait.grant();
    } catch (error) {
      this.#dropped = { wait, isHeld: true, next: this.#dropped };
      throw error;
    }
  }

  /**
   * The stack may overflow anywhere from here on. What has failed is undone once it has unwound. Timers are set then too: one
   * whose creation overflows the stack keeps the thread alive for good.
   */
  #checkSoon() {
    queueMicrotask(() => {
      this.#isCheckDue = false;
      this.#undo();
      if (this.#waits.size === 0) this.#idle();
      else this.#setTimers();
    });
    this.#isCheckDue = true;
  }

  #setTimers() {
    this.#deadlines.arm();
    this.#lookout.begin();
  }

  #undo() {
    for (; this.#dropped !== undefined; this.#dropped = this.#dropped.next) {
      const { wait, isHeld } = this.#dropped;
      const { key, permits } = wait.request;
      if (isHeld) this.giveBack(key, permits, wait.serial);
      else this.#leaveLine(wait);
      wait.end();
    }
    this.settleServed();
  }

  /** A call has its permits. One that was dropped returns them. */
  #grant(id) {
    for (let one = this.#dropped; one !== undefined; one = one.next) {
      if (one.wait.id !== id) continue;
      one.isHeld = true;
      return;
    }
    this.#waits.get(id)?.grant();
  }

  /** Makes a native call about a wait; its answer. What it has served is left for `settleServed`. */
  #ask(call, { request: { key, permits }, id }) {
    this.leave(key, permits);
    integers[NUMBER_HIGH] = id / 2 ** 32;
    // What does not fit 32 bits is dropped.
    integers[NUMBER_LOW] = id;
    call(key);
    const answer = integers[ANSWER];
    const [count, watch] = [integers[SERVED], integers[WATCH] === 1];
    if (count > 0 || watch) {
      const [high, low] = [integers[WAIT_HIGH], integers[WAIT_LOW]];
      this.served = { key, count, high, low, watch, next: this.served };
    }
    return answer;
  }

  #leaveLine(wait) {
    this.#ask(leaveSemaphore, wait);
  }

  /** Takes what another thread has released, as far as it goes. Returns the milliseconds until the next look. */
  #look(key) {
    this.#ask(lookAtSemaphore, { request: { key, permits: 0 }, id: 0 });
    const next = numbers[SEMAPHORE_TIMES.NEXT_LOOK];
    this.settleServed();
    return next;
  }

  #grantAll() {
    const waits = native.takeGrantedWaits(this.handle);
    for (let at = waits.length - 1; at >= 0; at -= 1) this.#grant(waits[at]);
  }

  #deliver(event) {
    if (event.kind === 'granted') return this.#take(event.wait);
    const { name } = this;
    const errorFor =
      event.kind === 'unmet'
        ? ({ request }) => unmetError(name, request, event.permits)
        : () => closedError(name, event.isReset);
    for (const id of event.waits) {
      const wait = this.#waits.get(id);
      wait?.fail(errorFor(wait));
    }
  }

  /** Permits were handed to a call. They may have been taken back since. */
  #take(id) {
    const wait = this.#waits.get(id);
    if (wait === undefined) return;
    if (this.#ask(takePermits, wait) === ADMITTED) wait.grant();
    this.settleServed();
  }

  #awaitedKeys() {
    // Where the stack overflowed at the end of the last call.
    if (this.#waits.size === 0) this.#idle();
    const keys = new Set();
    for (const { request } of this.#waits.values()) keys.add(request.key);
    return keys;
  }

  /** Calls that wait keep the thread alive. */
  #keepAlive() {
    if (this.#isKeptAlive) return;
    keepAlive();
    this.#isKeptAlive = true;
  }

  /** No call waits. */
  #idle() {
    if (this.#isKeptAlive) letGo();
    this.#isKeptAlive = false;
    if (this.#subscription > 0) unsubscribe(this.#subscription);
    this.#subscription = 0;
  }
}

module.exports = { ThreadSemaphore };
