'use strict';

const { addAbortListener, removeAbortListener } = require('../../runtime/abort-listeners');
const { JOIN, WAIT, WAIT_ANSWER, WAIT_KIND } = require('../../runtime/layouts');
const { numbers } = require('../../runtime/native');
const { keepFunctions, latest } = require('../../runtime/promise-functions');
const { kWaited } = require('../symbols');
const { lineClosed, lineFull, neverCharged, tooLate } = require('./errors');
const { enter, leave, waitsOfThread } = require('./thread-waits');

/**
 * Joins the line of a key by `join(waits)`. A promise of the decision; null where the call was charged at once after all.
 * `request` is `{ limiter, cost, timeout, signal, isForMiddleware }`.
 */
function waitInLine(request, join) {
  // Made before: where the stack overflows, nothing has joined.
  latest.resolve = undefined;
  const settled = new Promise(keepFunctions);
  // The stack overflowed, and the promise has rejected with that.
  if (latest.resolve === undefined) return settled;
  const call = new WaitingCall(request, latest.resolve, latest.reject);
  const kind = join(waitsOfThread());
  if (kind === JOIN.served) return null;
  if (kind !== JOIN.waits) throw refusal(kind, numbers[WAIT.VALUE], request);
  enter(call);
  if (request.signal !== undefined) call.followSignal();
  return settled;
}

function refusal(kind, value, { limiter, cost, timeout }) {
  if (kind === JOIN.never) return neverCharged(cost, value);
  return kind === JOIN.full ? lineFull(limiter.name, value) : tooLate(limiter.name, timeout, value);
}

/** A call that waits in line. It settles once: with its decision, with an error, or with the reason of its signal. */
class WaitingCall {
  /** Its number, once it waits. */
  id = 0;
  #request;
  #resolve;
  #reject;
  #onAbort = undefined;

  constructor(request, resolve, reject) {
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Ends with the caller's signal from now on. */
  followSignal() {
    this.#onAbort = () => this.#abort();
    addAbortListener(this.#request.signal, this.#onAbort);
  }

  /** By the outcome at a place of the answers. */
  settle(answers, at) {
    const { limiter, timeout, signal, isForMiddleware } = this.#request;
    if (signal !== undefined) removeAbortListener(signal, this.#onAbort);
    const kind = answers[at + WAIT_ANSWER.KIND];
    if (kind === WAIT_KIND.served) this.#resolve(limiter[kWaited](answers, at, isForMiddleware));
    else if (kind === WAIT_KIND.closed) this.#reject(lineClosed(limiter.name));
    else this.#reject(tooLate(limiter.name, timeout, answers[at + WAIT_ANSWER.RETRY_AFTER]));
  }

  #abort() {
    const { signal } = this.#request;
    removeAbortListener(signal, this.#onAbort);
    leave(this.id);
    this.#reject(signal.reason);
  }
}

module.exports = { waitInLine };
