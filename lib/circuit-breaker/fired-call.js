'use strict';

const { AsyncResource } = require('node:async_hooks');
const { addAbortListener, removeAbortListener } = require('../runtime/abort-listeners');
const { outcomeOf, outcomeOfAbort, report } = require('./call-outcome');
const { SluiceError } = require('../runtime/errors');
const { PERMIT } = require('../runtime/layouts');
const { native, numbers } = require('../runtime/native');
const { promiseOf } = require('../runtime/promise-of');

/** A call under way: it settles once, by its result, its error or its deadline, and reports what came of it. */
class FiredCall {
  // Fields of the list of deadlines.
  tick = undefined;
  previous = undefined;
  next = undefined;

  #source;
  #ticket;
  #startedAt;
  /** 0: no limit. */
  #timeoutMs;
  #peer;
  #resolve;
  #reject;
  #isSettled = false;
  /** Aborts the call's own signal, where it has one. */
  #abort;
  /** Where the caller gave a signal: `{ signal, onAbort, context, controller }`. */
  #caller;

  /** Made right after its permit was acquired, whose numbers it reads. */
  constructor(source, peer, ticket, resolve, reject) {
    this.#source = source;
    this.#peer = peer;
    this.#ticket = ticket;
    this.#startedAt = numbers[PERMIT.STARTED_AT];
    this.#timeoutMs = numbers[PERMIT.TIMEOUT];
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /**
   * Making a signal costs more than all the rest, so a function that declares no parameter gets none. `signal` is
   * the caller's, where it gave one.
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
    // The function may have aborted its caller's signal.
    if (!this.#isSettled && this.#timeoutMs > 0) this.#watchDeadline();
    promiseOf(result).then(
      (value) => this.#succeed(value),
      (error) => this.#fail(error),
    );
  }

  /** It takes too long. The signal has aborted when the caller hears of it. */
  expire() {
    this.#isSettled = true;
    if (this.#caller !== undefined) this.#unwatch();
    const { handle, name } = this.#source;
    native.permitFailure(handle, this.#ticket, this.#startedAt);
    const peer = JSON.stringify(this.#peer);
    const message = `CircuitBreaker "${name}": the call to ${peer} took longer than ${this.#timeoutMs} ms`;
    const error = new SluiceError('TIMEOUT', message);
    this.#abort?.(error);
    this.#reject(error);
  }

  /** It aborts by way of a promise made here: listeners run in the context of the call, not in that of the timer. */
  #makeSignal() {
    const controller = new AbortController();
    if (this.#timeoutMs > 0) {
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
    deadlines.add(this, this.#startedAt + this.#timeoutMs);
    deadlines.arm();
  }

  #watch(signal) {
    const onAbort = () => this.#cancel();
    // The caller's signal may abort in any context; listeners of the call's own signal run in that of the call.
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

  /** The caller's signal aborted. The outcome of the function is ignored from now on. */
  #cancel() {
    if (!this.#settle()) return;
    const { signal, context, controller } = this.#caller;
    const { reason } = signal;
    report(this.#source, this.#ticket, this.#startedAt, outcomeOfAbort(reason));
    if (controller !== undefined) context.runInAsyncScope(() => controller.abort(reason));
    this.#reject(reason);
  }

  #succeed(value) {
    if (!this.#settle()) return;
    native.permitSuccess(this.#source.handle, this.#ticket, this.#startedAt);
    this.#resolve(value);
  }

  #fail(error) {
    if (!this.#settle()) return;
    report(this.#source, this.#ticket, this.#startedAt, outcomeOf(this.#source, error));
    this.#reject(error);
  }

  /** False when it is too late. */
  #settle() {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    if (this.#caller !== undefined) this.#unwatch();
    if (this.tick !== undefined) this.#source.deadlines.remove(this);
    return true;
  }
}

module.exports = { FiredCall };
