'use strict';

const { addAbortListener, removeAbortListener } = require('../../runtime/abort-listeners');
const { JOIN, WAIT, WAIT_ANSWER, WAIT_KIND } = require('../../runtime/layouts');
const { numbers } = require('../../runtime/native');
const { kWaited } = require('../symbols');
const { lineClosed, lineFull, neverCharged, tooLate } = require('./errors');
const { enter, leave, waitsOfThread } = require('./thread-waits');

/**
 * Joins the line of a key by `join(waits, request)`. A promise of the decision; where the call was charged at once after all, what
 * `read()` makes of the numbers that native code left. `request` is `{ limiter, cost, timeout, signal,
 * isForMiddleware }`.
 */
function waitInLine(request, join, read) {
  const kind = join(waitsOfThread(), request);
  if (kind === JOIN.served) return read();
  if (kind !== JOIN.waits) throw refusal(kind, numbers[WAIT.VALUE], request);
  return new Promise((resolve, reject) => new WaitingCall(request, resolve, reject));
}

function refusal(kind, value, { limiter, cost, timeout }) {
  if (kind === JOIN.never) return neverCharged(cost, value);
  return kind === JOIN.full ? lineFull(limiter.name, value) : tooLate(limiter.name, timeout, value);
}

/** A call that waits in line. It settles once: with its decision, with an error, or with the reason of its signal. */
class WaitingCall {
  #request;
  #resolve;
  #reject;
  #id;
  #onAbort;

  constructor(request, resolve, reject) {
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#id = enter(this);
    const { signal } = request;
    if (signal === undefined) return;
    this.#onAbort = () => this.#abort();
    addAbortListener(signal, this.#onAbort);
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
    leave(this.#id);
    this.#reject(signal.reason);
  }
}

module.exports = { waitInLine };
