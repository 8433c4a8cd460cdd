'use strict';

const { setImmediate } = require('node:timers');
const { isPromise } = require('node:util/types');
const { threadId } = require('node:worker_threads');
const { invalidOption, SluiceError } = require('../runtime/errors');
const { LIFECYCLE_COUNTS, LIFECYCLE_STATES } = require('../runtime/layouts');
const { handlesOf, keepAlive, letGo, native, subscribe, unsubscribe } = require('../runtime/native');
const { owned } = require('../runtime/schema');
const { checkServer } = require('../http/server-closing');
const { Drain } = require('./drain');
const { Hooks } = require('./hooks');
const { LazySignal } = require('./lazy-signal');
const { reportOf } = require('./report');
const { ServedConnections } = require('./served-connections');
const { Tokens } = require('./token');

const { draining: DRAINING, stopped: STOPPED } = LIFECYCLE_STATES;
const { opened: OPENED, closed: CLOSED, begun: BEGUN, done: DONE } = LIFECYCLE_COUNTS;

const promiseThen = Promise.prototype.then;

/** Releases a handle when no object uses it any more: once the lifecycle was destroyed. */
const collected = handlesOf(native.releaseLifecycle);

/** This thread's parts, by name: one for all objects of a lifecycle. Its servers and hooks outlive the objects. */
const parts = new Map();

function partOf(name) {
  const known = parts.get(name);
  if (known?.isOpen) return known;
  const part = new Part(name);
  parts.set(name, part);
  return part;
}

/** This thread's membership in one lifecycle: its servers, hooks, tokens and tracked work. */
class Part {
  #name;
  #handle;
  #subscription;
  #signal = new LazySignal(
    () => this.isCancelled,
    () => this.error(),
  );
  #tokens;
  #hooks;
  #servers = new Set();
  #known = new WeakSet();
  /** The paths of probes, which are answered to the end. A request is a probe if its path ends with one of them. */
  #probes = new Set();
  #tasks = 0;
  #drain;
  /** The promise of the report, shared by all callers in this thread, and what settles it. */
  #ended;
  #settle;
  /** How often the lifecycle was reset, as far as this thread has followed. */
  #resets;

  constructor(name) {
    this.#name = name;
    this.#subscription = subscribe(() => this.#refresh());
    this.#handle = native.joinLifecycle(name, this.#subscription, threadId);
    collected.register(this, this.#handle);
    this.#resets = native.lifecycleResets(this.#handle);
    this.#tokens = new Tokens(this, undefined);
    this.#hooks = new Hooks(this.title);
    // A member that joins late is not notified of what was before.
    if (this.isCancelled) setImmediate(() => this.#refresh());
  }

  get handle() {
    return this.#handle;
  }

  get title() {
    return `Lifecycle "${this.#name}"`;
  }

  get isCancelled() {
    return native.lifecycleIsCancelled(this.#handle);
  }

  get isOpen() {
    return this.#stateNow() !== undefined;
  }

  get signal() {
    this.followReset();
    return this.#signal.signal;
  }

  get tokens() {
    return this.#tokens;
  }

  /** The error with which new work is refused, and signals abort. */
  error() {
    const reason = owned(native.shutdownTimes(this.#handle)).reason ?? null;
    const why = reason === null ? '' : `: ${reason}`;
    return new SluiceError('SHUTTING_DOWN', `${this.title} is shutting down${why}`);
  }

  /**
   * Makes a shutdown wait for `work`. A promise is accepted until the lifecycle has stopped. A function is called here,
   * unless `scope`, the signal of the lifecycle or of a token, is cancelled.
   */
  track(work, scope = this.#signal) {
    this.followReset();
    const isNew = typeof work === 'function';
    if (!isNew && typeof work?.then !== 'function') {
      throw invalidOption('track', work, 'a promise, or a function that returns one');
    }
    const isLate = isNew ? scope.isCancelled : native.lifecycleState(this.#handle) === STOPPED;
    if (isLate) return Promise.reject(scope.reason);
    const promise = isNew ? new Promise((resolve) => resolve(work(scope.signal))) : promiseOf(work);
    this.#await(promise);
    return promise;
  }

  addHook(fn, options) {
    if (this.isCancelled) throw this.error();
    this.#hooks.add(fn, options);
  }

  addProbe(path) {
    this.#probes.add(path);
  }

  attach(server) {
    checkServer('attach server', server);
    this.#checkOpen();
    if (this.#known.has(server)) return;
    const connections = new ServedConnections(server, {
      onOpen: () => native.countForLifecycle(this.#handle, OPENED),
      onClose: () => native.countForLifecycle(this.#handle, CLOSED),
      isProbe: (req) => this.#isProbe(req),
    });
    this.#known.add(server);
    const serve = () => {
      this.#servers.add(connections);
      if (this.isOpen && this.isCancelled) this.#drainNow().add(connections);
      else connections.resume();
    };
    serve();
    server.on('listening', serve);
    server.on('close', () => this.#servers.delete(connections));
  }

  /** Resolves with the report, the same for all callers. */
  shutdown(request) {
    this.followReset();
    native.beginShutdown(this.#handle, request);
    if (this.#ended === undefined) {
      this.#ended = new Promise((resolve, reject) => {
        this.#settle = { resolve, reject };
      });
      keepAlive();
    }
    // Other threads may have finished before.
    if (this.#stateNow() === STOPPED) this.#resolveReport();
    return this.#ended;
  }

  /** After a reset, a shutdown from before it is void in this thread, and so is the work tracked until then. */
  followReset() {
    const resets = native.lifecycleResets(this.#handle);
    if (resets === this.#resets) return;
    this.#resets = resets;
    native.rejoinLifecycle(this.#handle);
    this.#drain = undefined;
    this.#ended = undefined;
    for (; this.#tasks > 0; this.#tasks--) native.countForLifecycle(this.#handle, DONE);
    this.#signal.renew();
    this.#tokens.renew();
    for (const connections of this.#servers) connections.resume();
    this.#rejectReport('was reset while it shut down');
  }

  /** Something of the lifecycle changed. */
  #refresh() {
    try {
      this.#follow(native.lifecycleState(this.#handle));
    } catch (error) {
      // A listener of a signal, or another thread, may have destroyed it meanwhile.
      if (this.isOpen) throw error;
      this.#end();
    }
  }

  #follow(state) {
    this.followReset();
    this.#signal.refresh();
    this.#tokens.refresh();
    if (state >= DRAINING) this.#drainNow().refresh();
    if (state === STOPPED) this.#resolveReport();
  }

  #drainNow() {
    const resets = this.#resets;
    this.#drain ??= new Drain({
      handle: this.#handle,
      servers: this.#servers,
      hooks: this.#hooks,
      tasks: () => this.#tasks,
      isAwaited: () => this.#resets === resets && this.#stateNow() === DRAINING,
      isReset: () => this.#resets !== resets,
    });
    return this.#drain;
  }

  #resolveReport() {
    const report = this.#settle === undefined ? null : this.#unlessDestroyed(native.shutdownReport);
    if (report === null || report === undefined) return;
    this.#settle.resolve(reportOf(report));
    this.#letGo();
  }

  /** The lifecycle was destroyed. */
  #end() {
    if (parts.get(this.#name) === this) parts.delete(this.#name);
    unsubscribe(this.#subscription);
    this.#rejectReport('was destroyed while it shut down');
  }

  #rejectReport(why) {
    if (this.#settle === undefined) return;
    this.#settle.reject(new SluiceError('CLOSED', `"${this.#name}" ${why}`));
    this.#letGo();
  }

  #letGo() {
    this.#settle = undefined;
    letGo();
  }

  #await(promise) {
    const resets = this.#resets;
    const done = () => {
      if (this.#resets !== resets) return;
      this.#tasks -= 1;
      native.countForLifecycle(this.#handle, DONE);
    };
    // Subscribes before it counts, and ignores a `then` of the promise itself: a promise that never calls back is not counted.
    promiseThen.call(promise, done, done);
    this.#tasks += 1;
    native.countForLifecycle(this.#handle, BEGUN);
  }

  #isProbe(req) {
    const path = req.url.split('?', 1)[0];
    for (const probe of this.#probes) {
      if (path.endsWith(probe)) return true;
    }
    return false;
  }

  /** The native call throws if the lifecycle was destroyed. */
  #checkOpen() {
    native.lifecycleState(this.#handle);
  }

  /** `undefined` once the lifecycle was destroyed. */
  #stateNow() {
    return this.#unlessDestroyed(native.lifecycleState);
  }

  #unlessDestroyed(ask) {
    try {
      return ask(this.#handle);
    } catch {
      return undefined;
    }
  }
}

/** Other thenables, such as database queries, may begin anew with each `then`, so it is called once. */
function promiseOf(work) {
  return isPromise(work) ? work : Promise.resolve(work);
}

module.exports = { partOf };
