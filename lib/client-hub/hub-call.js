'use strict';

const { AsyncResource } = require('node:async_hooks');
const { addAbortListener, removeAbortListener } = require('../runtime/abort-listeners');
const { packError } = require('../runtime/carried-error');
const { Deadline } = require('../runtime/deadline');
const { describe, hasName, SluiceError } = require('../runtime/errors');
const { keepAlive, letGo, native } = require('../runtime/native');
const { promiseOf } = require('../runtime/promise-of');
const { encodeDefined } = require('../runtime/value');
const { retentionOf } = require('./retention');

/**
 * A call that runs its initialiser, or waits for another's and may be told that it is its turn. What it runs for the
 * user runs in the asynchronous context of whoever called.
 */
class HubCall extends AsyncResource {
  isAwaited = false;
  #hub;
  #key;
  #id;
  #init;
  #options;
  /** Whoever awaits the call: `{ take, resolve, reject, onAbort }`. */
  #caller;
  /** While it leads. */
  #controller;
  /** Of its initialiser while it leads; of another's while it waits. */
  #deadline;
  /** What is called when that time is over. */
  #watched;
  #isOver = false;
  #resets = native.resets();

  constructor(hub, key, id, init, options) {
    super('sluice:ClientHub');
    this.#hub = hub;
    this.#key = key;
    this.#id = id;
    this.#init = init;
    this.#options = options;
    hub.enter(id, this);
  }

  get key() {
    return this.#key;
  }

  /** Whether the hub has forgotten it. */
  get isReset() {
    return native.resets() !== this.#resets;
  }

  /** A promise for what `take` makes of the value. The thread is kept alive until it settles. */
  settled(take) {
    const { signal } = this.#options;
    const caller = { take, resolve: undefined, reject: undefined, onAbort: () => this.#abort() };
    const settled = new Promise((resolve, reject) => {
      caller.resolve = resolve;
      caller.reject = reject;
    });
    // Set unless the stack overflowed in the constructor of the promise, which has rejected then.
    if (caller.reject === undefined) return settled;
    keepAlive();
    this.#caller = caller;
    this.isAwaited = true;
    if (signal !== undefined) addAbortListener(signal, caller.onAbort);
    return settled;
  }

  /** Its caller has an error already. */
  drop() {
    this.#end();
    this.#settle(() => {});
    this.#abortInitialiser();
  }

  /**
   * With `isCaller` the caller's context is that of the running code. Entering it again may not be done where the stack
   * overflows: Node 20 ends the process then.
   */
  lead(isCaller = false) {
    this.#controller = new AbortController();
    this.#watch(this.#options.timeout, () => this.#timeOut());
    let result;
    try {
      const init = this.#init;
      const { signal } = this.#controller;
      result = isCaller ? init(signal) : this.runInAsyncScope(init, undefined, signal);
    } catch (error) {
      this.#fail(error);
      return;
    }
    promiseOf(result).then(
      (value) => this.#finish(value),
      (error) => this.#fail(error),
    );
  }

  /** For the leader, whose time is over in `restMs`: its own thread may stand still then. */
  wait(restMs) {
    let rest = restMs;
    try {
      if (rest === 0) rest = native.lookInHub(this.#hub.handle, this.#key, this.#id);
    } catch (error) {
      // Destroyed, of which this thread has not heard yet.
      this.giveUp(error);
      return;
    }
    if (rest !== null) this.#watch(rest, () => this.wait(0));
  }

  /** It is this call's turn, unless that took so long that it is another's by now. */
  turn() {
    let leads;
    try {
      leads = native.beginInHub(this.#hub.handle, this.#key, this.#id);
    } catch (error) {
      this.giveUp(error);
      return;
    }
    if (leads) this.lead();
    else this.replaced();
  }

  /** Its turn is over: others have seen that its time was, while this thread stood still. */
  replaced() {
    this.giveUp(this.#replacedError());
  }

  /** It went on for others, of whom nobody waits any more. */
  abandoned() {
    this.giveUp(this.#options.signal.reason);
  }

  made(entry) {
    this.#end();
    this.#settle(({ take, resolve, reject }) => {
      try {
        resolve(this.runInAsyncScope(take, undefined, entry));
      } catch (error) {
        reject(error);
      }
    });
  }

  failed(error) {
    this.#end();
    this.#settle(({ reject }) => reject(error));
  }

  /** The signal has aborted when the caller hears of it. */
  giveUp(error) {
    this.#end();
    this.#abortInitialiser(error);
    this.#settle(({ reject }) => reject(error));
  }

  #finish(value) {
    if (this.#isOver) return;
    let bytes;
    let retention;
    try {
      bytes = encodeDefined(value, `value of ${describe(this.#key)}`);
      retention = this.runInAsyncScope(retentionOf, undefined, this.#options, value);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#report(
      () => native.finishInHub(this.#hub.handle, this.#key, this.#id, bytes, retention),
      ({ version, calls }) => this.#hub.made([this.#id, ...calls], version, bytes),
    );
  }

  #fail(error) {
    if (this.#isOver) return;
    // An aborted initialiser says nothing about the next one.
    const retryAfterMs = hasName(error, 'AbortError') ? 0 : this.#options.retryAfter;
    this.#report(
      () => native.failInHub(this.#hub.handle, this.#key, this.#id, packError(error), retryAfterMs),
      (failed) => this.#settleFailed(failed, error),
    );
  }

  /** Settles this thread's waiting calls with the stale value, or without one with the error. */
  #settleFailed({ version, bytes, failure, calls }, error) {
    if (failure > 0) this.#hub.rememberFailure(this.#key, failure, error);
    if (version > 0) {
      this.#hub.made([this.#id, ...calls], version, bytes);
      return;
    }
    this.failed(error);
    this.#hub.each(calls, (call) => call.failed(error));
  }

  /** Only a leader's report is taken: another may have taken over while this thread stood still. */
  #report(report, onTaken) {
    let taken;
    try {
      taken = report();
    } catch (error) {
      this.failed(error);
      return;
    }
    if (taken === null) this.failed(this.#replacedError());
    else onTaken(taken);
  }

  /** Aborts the signal before any call settles. */
  #timeOut() {
    const error = this.#timeoutError();
    const { retryAfter } = this.#options;
    const failed = native.timeOutInHub(this.#hub.handle, this.#key, this.#id, packError(error), retryAfter);
    if (failed === null) {
      this.giveUp(error);
      return;
    }
    this.#abortInitialiser(error);
    this.#settleFailed(failed, error);
  }

  /** A leader goes on if others wait for what it makes. */
  #abort() {
    const { reason } = this.#options.signal;
    const { handle } = this.#hub;
    if (this.#controller === undefined) {
      native.leaveHub(handle, this.#key, this.#id);
      this.#end();
    } else if (!native.detachInHub(handle, this.#key, this.#id)) {
      this.#end();
      this.#abortInitialiser(reason);
    }
    this.#settle(({ reject }) => reject(reason));
  }

  #abortInitialiser(reason) {
    if (this.#controller === undefined) return;
    this.runInAsyncScope(() => this.#controller.abort(reason));
  }

  #watch(ms, onTime) {
    this.#deadline?.cancel();
    const due = native.elapsed() + ms;
    this.#watched = onTime;
    // Later: a timer of Node's that is made where the stack overflows keeps the thread alive for good.
    queueMicrotask(() => {
      if (this.#isOver || this.#watched !== onTime) return;
      // A test may have set the clock back since.
      const rest = Math.min(ms, Math.max(0, due - native.elapsed()));
      this.#deadline = new Deadline(rest, onTime, { ref: false });
    });
  }

  #end() {
    this.#isOver = true;
    this.#deadline?.cancel();
    this.#hub.leave(this.#id);
  }

  #settle(settle) {
    const caller = this.#caller;
    if (caller === undefined) return;
    this.#caller = undefined;
    const { signal } = this.#options;
    if (signal !== undefined) removeAbortListener(signal, caller.onAbort);
    letGo();
    settle(caller);
  }

  /** Why another call leads, or none does. */
  #replacedError() {
    return this.isReset ? this.#hub.closedError(this) : this.#timeoutError();
  }

  #timeoutError() {
    const key = describe(this.#key);
    const message = `ClientHub "${this.#hub.name}": the initialiser of ${key} took longer than ${this.#options.timeout} ms`;
    return new SluiceError('TIMEOUT', message);
  }
}

module.exports = { HubCall };
