'use strict';

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

/** As native code numbers states, and what a member counts. */
const { draining: DRAINING, stopped: STOPPED } = LIFECYCLE_STATES;
const { opened: OPENED, closed: CLOSED, begun: BEGUN, done: DONE } = LIFECYCLE_COUNTS;

const promiseThen = Promise.prototype.then;

/** A handle is free again when nothing stands for the lifecycle any more: once it was destroyed. */
const collected = handlesOf(native.releaseLifecycle);

/** This thread's parts, by name: one for all objects of a lifecycle, as it has servers and hooks that stay. */
const parts = new Map();

function partOf(name) {
  const known = parts.get(name);
  if (known?.isOpen) return known;
  const part = new Part(name);
  parts.set(name, part);
  return part;
}

/** What this thread has to do with one lifecycle. */
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
  /** What requests ask that are answered to the end, by the ends of their paths. */
  #probes = new Set();
  #tasks = 0;
  #drain;
  /** The promise of the report, for all who wait in this thread, and how it settles. */
  #ended;
  #settle;
  /** How often the lifecycle was reset, as far as this thread has followed. */
  #resets;

  constructor(name) {
    this.#name = name;
    this.#subscription = subscribe(() => this.#look());
    this.#handle = native.joinLifecycle(name, this.#subscription, threadId);
    collected.register(this, this.#handle);
    this.#resets = native.lifecycleResets(this.#handle);
    this.#tokens = new Tokens(this, undefined);
    this.#hooks = new Hooks(this.title);
    // Who joins late is not told of what was before.
    if (this.isCancelled) setImmediate(() => this.#look());
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

  /** Why new work is refused, and signals abort. */
  error() {
    const reason = owned(native.shutdownTimes(this.#handle)).reason ?? null;
    const why = reason === null ? '' : `: ${reason}`;
    return new SluiceError('SHUTTING_DOWN', `${this.title} is shutting down${why}`);
  }

  /**
   * Waits for `work` at the end. What was begun is waited for as long as anybody waits; a function is begun here, and
   * not once `scope`, the signal of who asks, is cancelled.
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

  /** The report, the same for all callers. */
  shutdown(request) {
    this.followReset();
    native.beginShutdown(this.#handle, request);
    if (this.#ended === undefined) {
      this.#ended = new Promise((resolve, reject) => {
        this.#settle = { resolve, reject };
      });
      keepAlive();
    }
    // Others may have come to the end before.
    if (this.#stateNow() === STOPPED) this.#tellReport();
    return this.#ended;
  }

  /** Everything was reset: what this thread has of a shutdown of before is void, and so is the work that it tracked. */
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

  /** Something changed. */
  #look() {
    try {
      this.#follow(native.lifecycleState(this.#handle));
    } catch (error) {
      // It may also be destroyed by a listener of a signal, or by another thread meanwhile.
      if (this.isOpen) throw error;
      this.#end();
    }
  }

  #follow(state) {
    this.followReset();
    this.#signal.look();
    this.#tokens.look();
    if (state >= DRAINING) this.#drainNow().look();
    if (state === STOPPED) this.#tellReport();
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

  #tellReport() {
    const report = this.#settle === undefined ? null : this.#unlessDestroyed(native.shutdownReport);
    if (report === null || report === undefined) return;
    this.#settle.resolve(reportOf(report));
    this.#letGo();
  }

  /** It was destroyed. */
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
    // Subscribes before it counts, and ignores a `then` of the promise's own: a promise that never calls back is not counted.
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

  /** Native code throws what has to be thrown. */
  #checkOpen() {
    native.lifecycleState(this.#handle);
  }

  /** `undefined` once it was destroyed. */
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

/** Other thenables, such as queries of databases, may begin anew with each `then`: they are asked once. */
function promiseOf(work) {
  return isPromise(work) ? work : Promise.resolve(work);
}

module.exports = { partOf };
