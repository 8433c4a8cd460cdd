'use strict';

const { AsyncResource } = require('node:async_hooks');
const { addAbortListener, removeAbortListener } = require('../runtime/abort-listeners');
const { FAILURE, outcomeOf, outcomeOfAbort, reportLeft, SUCCESS } = require('./call-outcome');
const { SluiceError } = require('../runtime/errors');
const { PERMIT_CALL } = require('../runtime/layouts');
const { integers } = require('../runtime/native');
const { promiseOf } = require('../runtime/promise-of');

const { HANDLE, TICKET_HIGH, TICKET_LOW, STARTED_HIGH, STARTED_LOW } = PERMIT_CALL;

/**
 * A call in flight. It settles once, by its result, its error, its deadline or its caller's signal, and reports that.
 */
class FiredCall {
  // Fields of the list of deadlines.
  tick = undefined;
  previous = undefined;
  next = undefined;

  #source;
  /** `{ ticketHigh, ticketLow, startedHigh, startedLow, startedAt, timeoutMs }`; `timeoutMs` is 0 without a limit. */
  #permit;
  #peer;
  #resolve;
  #reject;
  #isSettled = false;
  /** Aborts the signal that `fn` received, where it received one. */
  #abort;
  /** `{ signal, onAbort, context, controller }`; undefined where the caller gave no signal. */
  #caller;

  constructor(source, peer, permit, resolve, reject) {
    this.#source = source;
    this.#peer = peer;
    this.#permit = permit;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /**
   * Calls `fn`. `signal` is the caller's, if any. The call's own signal costs more than the rest of the call, so a
   * function that declares no parameter receives none.
   */
  run(fn, signal) {
    if (signal !== undefined) this.#watch(signal);
    let result;
    let isPromise;
    try {
      result = fn.length === 0 ? fn() : fn(this.#makeSignal());
      isPromise = typeof result?.then === 'function';
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (!isPromise) {
      this.#succeed(result);
      return;
    }
    // `fn` may have aborted the caller's signal.
    if (!this.#isSettled && this.#permit.timeoutMs > 0) this.#watchDeadline();
    promiseOf(result).then(
      (value) => this.#succeed(value),
      (error) => this.#fail(error),
    );
  }

  /** The deadline has passed. Aborts the call's signal before the promise rejects. */
  expire() {
    this.#isSettled = true;
    if (this.#caller !== undefined) this.#unwatch();
    this.#report(FAILURE);
    const { name } = this.#source;
    const peer = JSON.stringify(this.#peer);
    const message = `CircuitBreaker "${name}": the call to ${peer} took longer than ${this.#permit.timeoutMs} ms`;
    const error = new SluiceError('TIMEOUT', message);
    this.#abort?.(error);
    this.#reject(error);
  }

  /**
   * The signal aborts through a promise made here, so that its listeners run in the context of the call, not the timer.
   */
  #makeSignal() {
    const controller = new AbortController();
    if (this.#permit.timeoutMs > 0) {
      const timedOut = new Promise((resolve) => {
        this.#abort = resolve;
      });
      timedOut.then((error) => controller.abort(error));
    }
    if (this.#caller !== undefined) this.#caller.controller = controller;
    return controller.signal;
  }

  #watchDeadline() {
    const { deadlines } = this.#source;
    const { startedAt, timeoutMs } = this.#permit;
    deadlines.add(this, startedAt + timeoutMs);
    deadlines.arm();
  }

  #watch(signal) {
    const onAbort = () => this.#cancel();
    // The caller's signal may abort in any context. Listeners of the call's own signal run in the context of the call.
    this.#caller = {
      signal,
      onAbort,
      context: new AsyncResource('sluice:CircuitBreaker'),
      controller: undefined,
    };
    addAbortListener(signal, onAbort);
  }

  #unwatch() {
    removeAbortListener(this.#caller.signal, this.#caller.onAbort);
  }

  /** The caller's signal aborted. The result of `fn` is ignored from now on. */
  #cancel() {
    if (!this.#settle()) return;
    const { signal, context, controller } = this.#caller;
    const { reason } = signal;
    this.#report(outcomeOfAbort(reason));
    if (controller !== undefined) context.runInAsyncScope(() => controller.abort(reason));
    this.#reject(reason);
  }

  #succeed(value) {
    if (!this.#settle()) return;
    this.#report(SUCCESS);
    this.#resolve(value);
  }

  #fail(error) {
    if (!this.#settle()) return;
    this.#report(outcomeOf(this.#source, error));
    this.#reject(error);
  }

  #report(outcome) {
    const { ticketHigh, ticketLow, startedHigh, startedLow } = this.#permit;
    integers[HANDLE] = this.#source.handle;
    integers[TICKET_HIGH] = ticketHigh;
    integers[TICKET_LOW] = ticketLow;
    integers[STARTED_HIGH] = startedHigh;
    integers[STARTED_LOW] = startedLow;
    reportLeft(outcome);
  }

  /** False when the call has already settled. */
  #settle() {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    if (this.#caller !== undefined) this.#unwatch();
    if (this.tick !== undefined) this.#source.deadlines.remove(this);
    return true;
  }
}

module.exports = { FiredCall };
