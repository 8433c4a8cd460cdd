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
 * A call that leads, and so runs its initialiser, or that waits for a leader and may take over. The user's functions
 * run in the asynchronous context of the caller.
 */
class HubCall extends AsyncResource {
  isAwaited = false;
  #hub;
  #key;
  #id;
  #init;
  #options;
  /** `{ take, resolve, reject, onAbort }`; undefined where no promise awaits the call. */
  #caller;
  /** Of the initialiser's signal, while the call leads. */
  #controller;
  /** While the call leads, that of its initialiser; while it waits, that of the leader's. */
  #deadline;
  /** The function that the deadline calls. */
  #onDeadline;
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

  /** Whether the hub was reset since the call began. */
  get isReset() {
    return native.resets() !== this.#resets;
  }

  /** A promise for the result of `take` on the entry. The thread is kept alive until it settles. */
  settled(take) {
    const { signal } = this.#options;
    const caller = { take, resolve: undefined, reject: undefined, onAbort: () => this.#abort() };
    const settled = new Promise((resolve, reject) => {
      caller.resolve = resolve;
      caller.reject = reject;
    });
    // Undefined where the stack overflowed in the constructor of the promise, which has then rejected.
    if (caller.reject === undefined) return settled;
    keepAlive();
    this.#caller = caller;
    this.isAwaited = true;
    if (signal !== undefined) addAbortListener(signal, caller.onAbort);
    return settled;
  }

  /** Ends a call whose caller already has an error. */
  drop() {
    this.#end();
    this.#settle(() => {});
    this.#abortInitialiser();
  }

  /**
   * Runs the initialiser. With `isCaller` the running code is already in the caller's context. It is not entered again,
   * as Node 20 ends the process where the stack overflows on entering a context.
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

  /** Waits for a leader whose time is over in `restMs`. Has it replaced then, as its thread may be suspended. */
  wait(restMs) {
    let rest = restMs;
    try {
      if (rest === 0) rest = native.lookInHub(this.#hub.handle, this.#key, this.#id);
    } catch (error) {
      // The hub was destroyed, and the event has not arrived yet.
      this.giveUp(error);
      return;
    }
    if (rest !== null) this.#watch(rest, () => this.wait(0));
  }

  /** Takes over as leader, unless another call leads by now. */
  beginTurn() {
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

  /** Another call leads now: this one took too long, while its thread was suspended. */
  replaced() {
    this.giveUp(this.#replacedError());
  }

  /** The run continued for calls that no longer wait. */
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

  /** Aborts the initialiser's signal before the caller's promise rejects. */
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
    // An aborted initialiser does not predict the next one.
    const retryAfterMs = hasName(error, 'AbortError') ? 0 : this.#options.retryAfter;
    this.#report(
      () => native.failInHub(this.#hub.handle, this.#key, this.#id, packError(error), retryAfterMs),
      (failed) => this.#settleFailed(failed, error),
    );
  }

  /** Settles this thread's pending calls with the stale value, or with the error where there is none. */
  #settleFailed({ version, bytes, failure, calls }, error) {
    if (failure > 0) this.#hub.rememberFailure(this.#key, failure, error);
    if (version > 0) {
      this.#hub.made([this.#id, ...calls], version, bytes);
      return;
    }
    this.failed(error);
    this.#hub.each(calls, (call) => call.failed(error));
  }

  /** The hub accepts the report of a leader only. Another call may have taken over while this thread was suspended. */
  #report(report, onAccepted) {
    let accepted;
    try {
      accepted = report();
    } catch (error) {
      this.failed(error);
      return;
    }
    if (accepted === null) this.failed(this.#replacedError());
    else onAccepted(accepted);
  }

  /** Aborts the initialiser's signal before any call settles. */
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

  /** The caller's signal aborted. A leader's run continues if other calls wait for it. */
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
    this.#onDeadline = onTime;
    // In a microtask: a Node.js timer whose creation overflows the stack keeps the thread alive for good.
    queueMicrotask(() => {
      if (this.#isOver || this.#onDeadline !== onTime) return;
      // A test may have set the clock back in between.
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

  /** The error of a call that leads no more. */
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
