'use strict';

const { addAbortListener, removeAbortListener } = require('../../runtime/abort-listeners');
const { JOIN, WAIT, WAIT_ANSWER, WAIT_KIND } = require('../../runtime/layouts');
const { numbers } = require('../../runtime/native');
const { keepFunctions, latest } = require('../../runtime/promise-functions');
const { kJoin, kWaited } = require('../symbols');
const { lineClosed, lineFull, neverCharged, tooLate } = require('./errors');
const { enter, leave, waitsOfThread } = require('./thread-waits');

/**
 * Has a call join the line of a key. A promise of the decision; null where the call was charged at once after all. `caller`
 * is the limiter or the handle of the key.
 */
function waitInLine(call, caller, key) {
  // Made before: where the stack overflows, nothing has joined.
  latest.resolve = undefined;
  const settled = new Promise(keepFunctions);
  // The stack overflowed, and the promise has rejected with that.
  if (latest.resolve === undefined) return settled;
  call.resolve = latest.resolve;
  call.reject = latest.reject;
  const kind = caller[kJoin](key, waitsOfThread(), call);
  if (kind === JOIN.served) return null;
  if (kind !== JOIN.waits) throw refusal(kind, numbers[WAIT.VALUE], call);
  enter(call);
  if (call.signal !== undefined) call.followSignal();
  return settled;
}

function refusal(kind, value, { limiter, cost, timeout }) {
  if (kind === JOIN.never) return neverCharged(cost, value);
  return kind === JOIN.full ? lineFull(limiter.name, value) : tooLate(limiter.name, timeout, value);
}

/**
 * A call that waits in line. It settles once: with its decision, with an error, or with the reason of its signal. All of it
 * is in one object, whose fields are made in one place, as a thread may have calls wait by the thousand a second.
 */
class WaitingCall {
  /** Middleware asks on behalf of a guard, which may be none; other callers give `undefined`. */
  constructor(limiter, { cost, timeout, signal }, guard) {
    /** Its number, once it waits. */
    this.id = 0;
    this.limiter = limiter;
    this.cost = cost;
    this.timeout = timeout;
    this.signal = signal;
    this.guard = guard;
    this.resolve = undefined;
    this.reject = undefined;
    this.onAbort = undefined;
  }

  /** Ends with the caller's signal from now on. */
  followSignal() {
    this.onAbort = () => this.abort();
    addAbortListener(this.signal, this.onAbort);
  }

  /** By the outcome at a place of the answers. */
  settle(answers, at) {
    const { limiter } = this;
    if (this.signal !== undefined) removeAbortListener(this.signal, this.onAbort);
    const kind = answers[at + WAIT_ANSWER.KIND];
    if (kind === WAIT_KIND.served) this.resolve(limiter[kWaited](answers, at, this.guard !== undefined));
    else if (kind === WAIT_KIND.closed) this.reject(lineClosed(limiter.name));
    else this.reject(tooLate(limiter.name, this.timeout, answers[at + WAIT_ANSWER.RETRY_AFTER]));
  }

  abort() {
    removeAbortListener(this.signal, this.onAbort);
    leave(this.id);
    this.reject(this.signal.reason);
  }
}

module.exports = { WaitingCall, waitInLine };
