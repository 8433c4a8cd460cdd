'use strict';

const { schemaOf } = require('../runtime/declared-options');
const { SluiceError } = require('../runtime/errors');
const { addProbePath } = require('../http/probe-paths');
const { publishEvents } = require('../observation/channels');
const { healthMiddleware, healthPaths, healthPlugin, probesOf } = require('./health');
const { partOf } = require('./part');
const { checkReason } = require('./reason');
const { handleSignals } = require('./signals');
const { LIFECYCLE_STATES } = require('../runtime/layouts');
const { native } = require('../runtime/native');
const { onMismatch } = require('../runtime/on-mismatch');
const { checkName, checkOptions } = require('../runtime/schema');
const { SubscribedListeners } = require('../runtime/subscribed-listeners');

const STATES = Object.keys(LIFECYCLE_STATES);

const SHUTDOWN = schemaOf('shutdown', { reason: (value, option) => checkReason(option, value) });
const { reason: _, ...TIMES } = SHUTDOWN;

/** One state machine over all threads: starting, running, draining, stopped. */
class Lifecycle {
  #name;
  #part;
  #handle;
  #plugin;
  #listeners = new SubscribedListeners('Lifecycle', ['change'], {
    begin: (subscription) => native.subscribeToLifecycle(this.#handle, subscription),
    end: (subscription) => native.unsubscribeFromLifecycle(this.#handle, subscription),
    emit: (delivery) => this.#notify(delivery),
  });

  constructor(name, options = {}) {
    checkName('Lifecycle', name);
    checkOptions('Lifecycle', options, { onMismatch });
    this.#name = name;
    this.#part = partOf(name);
    this.#handle = this.#part.handle;
    publishEvents('Lifecycle', this);
  }

  static destroy(name) {
    checkName('Lifecycle', name);
    return native.destroyLifecycle(name);
  }

  get name() {
    return this.#name;
  }

  get state() {
    return STATES[native.lifecycleState(this.#handle)];
  }

  get isCancelled() {
    return native.lifecycleIsCancelled(this.#handle);
  }

  get signal() {
    return this.#part.signal;
  }

  ready() {
    native.lifecycleReady(this.#handle);
    return this;
  }

  child(name) {
    return this.#part.tokens.open(name);
  }

  track(work) {
    return this.#part.track(work);
  }

  onShutdown(fn, options) {
    this.#part.addHook(fn, options);
    return this;
  }

  attach(server) {
    this.#part.attach(server);
    return this;
  }

  /** Invalid options reject, as does everything else that prevents the report. */
  shutdown(options = {}) {
    try {
      return this.#part.shutdown(checkOptions('shutdown', options, SHUTDOWN));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  handleSignals(options) {
    return handleSignals((given) => this.shutdown(given), TIMES, options);
  }

  health(options) {
    return healthMiddleware(this.#probes(options));
  }

  get fastify() {
    this.#plugin ??= healthPlugin((server, options) => {
      this.attach(server);
      return this.#probes(options);
    });
    return this.#plugin;
  }

  on(event, listener) {
    this.#listeners.add(event, listener);
    return this;
  }

  once(event, listener) {
    this.#listeners.add(event, listener, { once: true });
    return this;
  }

  off(event, listener) {
    this.#listeners.remove(event, listener);
    return this;
  }

  #notify({ state, missed }) {
    this.#listeners.emit('change', missed > 0 ? { state, missed } : { state });
  }

  #probes(options) {
    const paths = healthPaths(options);
    for (const path of Object.values(paths)) {
      this.#part.addProbe(path);
      addProbePath(path);
    }
    return probesOf(paths, () => this.#stateOrStopped());
  }

  /** For probes, a destroyed lifecycle has stopped. */
  #stateOrStopped() {
    try {
      return this.state;
    } catch (error) {
      if (error instanceof SluiceError) return 'stopped';
      throw error;
    }
  }
}

module.exports = { Lifecycle };
