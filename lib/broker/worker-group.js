'use strict';

const { setTimeout: pause } = require('node:timers/promises');
const { SluiceError } = require('../runtime/errors');
const { Listeners } = require('../runtime/listeners');
const { native } = require('../runtime/native');
const { RestartPolicy } = require('./restart-policy');
const { checkSpawn, count: checkCount, leaveTimeout } = require('./spawn-options');
const { WorkerPlace } = require('./worker-place');

/** How often it is looked whether a successor has its endpoints: no event says so. */
const LOOK_MS = 5;

/**
 * Workers that a broker has spawned, each with a peer of its own. One that dies is started again, until that happens
 * too often.
 */
class WorkerGroup {
  #peer;
  #listeners = new Listeners('WorkerGroup', ['start', 'exit', 'restart', 'failed']);
  /** What the places know of the group. */
  #keeper;
  #places = new Set();
  /** Restarts and changes of the count, one after the other. */
  #work = Promise.resolve();
  #closing;
  #onJoin = ({ id, threadId }) => this.#join(threadId, id);

  constructor(peer, { plan, policy }) {
    this.#peer = peer;
    this.#keeper = {
      plan,
      policy,
      isRef: true,
      onUp: ({ threadId, peerId }) => this.#listeners.emit('start', { threadId, peerId }),
      onEnd: (worker, end) => this.#tellEnd(worker, end),
      onRestart: (worker, delayMs, error) => this.#tellRestart(worker, delayMs, error),
      onAbandon: (place, error) => this.#abandon(place, error),
    };
    peer.on('peerJoin', this.#onJoin, false);
    peer.groups.add(this);
  }

  /**
   * Resolves when all workers are up; rejects, and none is left, when one of them will never be. `peer` is the part of
   * this thread in the broker.
   */
  static async spawn(peer, file, options = {}) {
    const { count, restart, startTimeout, workerOptions } = checkSpawn(file, options);
    const title = `Broker "${peer.brokerName}": worker ${workerOptions.eval ? 'of code given' : JSON.stringify(String(file))}`;
    // Once this thread has left the broker, so have all others: it was destroyed.
    const askToLeave = (id) => peer.hasLeft || peer.askToLeave(id);
    const plan = { title, file, workerOptions, startTimeout, askToLeave };
    const policy = restart === false ? undefined : new RestartPolicy(restart);
    const group = new WorkerGroup(peer, { plan, policy });
    try {
      await group.#add(count);
    } catch (error) {
      const reason = group.#closing === undefined ? error : group.#closedError();
      await group.close({ timeout: 0 });
      throw reason;
    }
    return group;
  }

  get workers() {
    return [...this.#places].map((place) => place.describe());
  }

  /** One after the other: each goes when its successor serves what it serves, so no call finds nobody. */
  async restart(options) {
    const timeout = leaveTimeout('restart', options);
    return this.#inTurn(async () => {
      this.#checkOpen();
      for (const place of [...this.#places]) {
        await place.settle();
        this.#checkOpen();
        if (place.isUp) await place.replace((...both) => this.#servesAsMuch(...both), timeout);
      }
    });
  }

  /** Resolves when there are so many workers, and those that are too many have left. */
  async scale(count, options) {
    checkCount(count, 'scale count');
    const timeout = leaveTimeout('scale', options);
    return this.#inTurn(async () => {
      this.#checkOpen();
      const missing = count - this.#places.size;
      if (missing > 0) await this.#add(missing);
      else await Promise.all([...this.#places].slice(count).map((place) => this.#remove(place, timeout)));
    });
  }

  /** Resolves when all have left, or were terminated after `timeout`. */
  async close(options) {
    const timeout = leaveTimeout('close', options);
    this.#closing ??= this.#end(timeout);
    return this.#closing;
  }

  ref() {
    return this.#setRef(true);
  }

  unref() {
    return this.#setRef(false);
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

  /** All or none of them stay. */
  async #add(count) {
    const places = Array.from({ length: count }, () => new WorkerPlace(this.#keeper));
    for (const place of places) this.#places.add(place);
    try {
      await Promise.all(places.map((place) => place.fill()));
    } catch (error) {
      await Promise.all(places.map((place) => this.#remove(place, 0)));
      throw error;
    }
  }

  async #remove(place, timeout) {
    await place.leave(timeout);
    this.#places.delete(place);
  }

  async #end(timeout) {
    await Promise.all([...this.#places].map((place) => this.#remove(place, timeout)));
    this.#peer.off('peerJoin', this.#onJoin);
    this.#peer.groups.delete(this);
  }

  /** One failure does not keep the next from being tried. What fails as the group is closed says so. */
  #inTurn(work) {
    const done = this.#work.then(work).catch((error) => {
      this.#checkOpen();
      throw error;
    });
    this.#work = done.catch(() => {});
    return done;
  }

  #checkOpen() {
    if (this.#closing !== undefined) throw this.#closedError();
  }

  #closedError() {
    return new SluiceError('CLOSED', `${this.#keeper.plan.title}: its group is closed`);
  }

  #setRef(isRef) {
    this.#keeper.isRef = isRef;
    for (const place of this.#places) place.setRef(isRef);
    return this;
  }

  #join(threadId, peerId) {
    for (const place of this.#places) {
      for (const worker of place.threads) if (worker.threadId === threadId) worker.join(peerId);
    }
  }

  async #servesAsMuch(successor, old) {
    const due = successor.begunAt + this.#keeper.plan.startTimeout;
    for (;;) {
      if (successor.hasEnded) throw this.#notAsMuch('ended');
      const served = this.#endpointsOf(successor);
      const missing = this.#endpointsOf(old).filter((endpoint) => !served.includes(endpoint));
      if (missing.length === 0) return;
      if (native.elapsed() >= due) throw this.#notAsMuch(`does not serve ${missing.join(', ')}`);
      await pause(LOOK_MS);
    }
  }

  #endpointsOf({ peerId }) {
    return this.#peer.peers().find(({ id }) => id === peerId)?.endpoints ?? [];
  }

  #notAsMuch(what) {
    const message = `${this.#keeper.plan.title} ${what} instead of replacing another; accepted: one with all endpoints of the other`;
    return new SluiceError('SPAWN_FAILED', message);
  }

  #tellEnd({ threadId, peerId, isLeaving }, { code, error }) {
    this.#listeners.emit('exit', { threadId, peerId, code, error, asked: isLeaving });
  }

  #tellRestart({ threadId, peerId }, delayMs, error) {
    this.#warnUnlessHeard(['exit', 'restart'], 'SLUICE_WORKER_DIED', 'died and is started again', error);
    this.#listeners.emit('restart', { threadId, peerId, delayMs, error });
  }

  /** Nobody is started there any more; where the policy says so, nowhere from now on. */
  #abandon(place, cause) {
    this.#places.delete(place);
    const { policy } = this.#keeper;
    if (policy === undefined) {
      this.#warnUnlessHeard(['exit'], 'SLUICE_WORKER_DIED', 'died', cause);
      return;
    }
    this.#keeper.policy = undefined;
    const what = `dies too often; accepted: ${policy.terms}`;
    this.#warnUnlessHeard(['failed'], 'SLUICE_GROUP_FAILED', what, cause);
    const message = `${this.#keeper.plan.title} ${what}`;
    this.#listeners.emit('failed', new SluiceError('SPAWN_FAILED', message, { cause }));
  }

  /** A death must not pass in silence. */
  #warnUnlessHeard(events, code, what, cause) {
    if (events.some((event) => this.#listeners.count(event) > 0)) return;
    const detail = cause === undefined ? undefined : (cause.stack ?? String(cause));
    process.emitWarning(`${this.#keeper.plan.title} ${what}`, { type: 'SluiceWarning', code, detail });
  }
}

module.exports = { WorkerGroup };
