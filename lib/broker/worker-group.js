'use strict';

const { setTimeout: pause } = require('node:timers/promises');
const { SluiceError } = require('../runtime/errors');
const { Listeners } = require('../runtime/listeners');
const { native } = require('../runtime/native');
const { warn } = require('../runtime/warn');
const { RestartPolicy } = require('./restart-policy');
const { checkSpawn, count: checkCount, leaveTimeout } = require('./spawn-options');
const { WorkerSlot } = require('./worker-slot');

/** Interval of checks whether a successor serves its endpoints: no event says so. */
const CHECK_MS = 5;

/** Workers that a broker has spawned, each with its own peer. A worker that dies is restarted, until it happens too often. */
class WorkerGroup {
  #peer;
  #listeners = new Listeners('WorkerGroup', ['start', 'exit', 'restart', 'failed']);
  /** What the slots know of the group. */
  #group;
  #slots = new Set();
  /** The last `restart` or `scale`: they run one after the other. */
  #work = Promise.resolve();
  #closing;
  #onJoin = ({ id, threadId }) => this.#join(threadId, id);

  constructor(peer, { plan, policy }) {
    this.#peer = peer;
    this.#group = {
      plan,
      policy,
      isRef: true,
      onUp: ({ threadId, peerId }) => this.#listeners.emit('start', { threadId, peerId }),
      onEnd: (worker, end) => this.#reportEnd(worker, end),
      onRestart: (worker, delayMs, error) => this.#reportRestart(worker, delayMs, error),
      onAbandon: (slot, error) => this.#abandon(slot, error),
    };
    peer.on('peerJoin', this.#onJoin, false);
    peer.groups.add(this);
  }

  /** Resolves when all workers are up; rejects, and none is left, if one of them never will be. `peer` is this thread's. */
  static async spawn(peer, file, options = {}) {
    const { count, restart, startTimeout, workerOptions } = checkSpawn(file, options);
    const title = `Broker "${peer.brokerName}": worker ${workerOptions.eval ? 'of code given' : JSON.stringify(String(file))}`;
    // If this thread has left while workers are up, the broker was destroyed, and they have left as well.
    const requestLeave = (id) => peer.hasLeft || peer.requestLeave(id);
    const plan = { title, file, workerOptions, startTimeout, requestLeave };
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
    return [...this.#slots].map((slot) => slot.describe());
  }

  /** Replaces one worker after the other. Each leaves when its successor serves its endpoints, so they are always served. */
  async restart(options) {
    const timeout = leaveTimeout('restart', options);
    return this.#inTurn(async () => {
      this.#checkOpen();
      for (const slot of [...this.#slots]) {
        await slot.settle();
        this.#checkOpen();
        if (slot.isUp) await slot.replace((...both) => this.#servesAsMuch(...both), timeout);
      }
    });
  }

  /** Resolves when there are `count` workers and the others have left. */
  async scale(count, options) {
    checkCount(count, 'scale count');
    const timeout = leaveTimeout('scale', options);
    return this.#inTurn(async () => {
      this.#checkOpen();
      const missing = count - this.#slots.size;
      if (missing > 0) await this.#add(missing);
      else await Promise.all([...this.#slots].slice(count).map((slot) => this.#remove(slot, timeout)));
    });
  }

  /** Resolves when all workers have ended; those that take longer than `timeout` are terminated. */
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

  /** Adds all or none. */
  async #add(count) {
    const slots = Array.from({ length: count }, () => new WorkerSlot(this.#group));
    for (const slot of slots) this.#slots.add(slot);
    try {
      await Promise.all(slots.map((slot) => slot.fill()));
    } catch (error) {
      await Promise.all(slots.map((slot) => this.#remove(slot, 0)));
      throw error;
    }
  }

  async #remove(slot, timeout) {
    await slot.leave(timeout);
    this.#slots.delete(slot);
  }

  async #end(timeout) {
    await Promise.all([...this.#slots].map((slot) => this.#remove(slot, timeout)));
    this.#peer.off('peerJoin', this.#onJoin);
    this.#peer.groups.delete(this);
  }

  /** A failure does not stop the next one. What fails because the group is closed rejects with `CLOSED`. */
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
    return new SluiceError('CLOSED', `${this.#group.plan.title}: its group is closed`);
  }

  #setRef(isRef) {
    this.#group.isRef = isRef;
    for (const slot of this.#slots) slot.setRef(isRef);
    return this;
  }

  #join(threadId, peerId) {
    for (const slot of this.#slots) {
      for (const worker of slot.threads) if (worker.threadId === threadId) worker.join(peerId);
    }
  }

  async #servesAsMuch(successor, old) {
    const due = successor.begunAt + this.#group.plan.startTimeout;
    for (;;) {
      if (successor.hasEnded) throw this.#notAsMuch('ended');
      const served = this.#endpointsOf(successor);
      const missing = this.#endpointsOf(old).filter((endpoint) => !served.includes(endpoint));
      if (missing.length === 0) return;
      if (native.elapsed() >= due) throw this.#notAsMuch(`does not serve ${missing.join(', ')}`);
      await pause(CHECK_MS);
    }
  }

  #endpointsOf({ peerId }) {
    return this.#peer.peers().find(({ id }) => id === peerId)?.endpoints ?? [];
  }

  #notAsMuch(what) {
    const message = `${this.#group.plan.title} ${what} instead of replacing another; accepted: one with all endpoints of the other`;
    return new SluiceError('SPAWN_FAILED', message);
  }

  #reportEnd({ threadId, peerId, isLeaving }, { code, error }) {
    this.#listeners.emit('exit', { threadId, peerId, code, error, asked: isLeaving });
  }

  #reportRestart({ threadId, peerId }, delayMs, error) {
    this.#warnUnlessListening(['exit', 'restart'], 'SLUICE_WORKER_DIED', 'died and is started again', error);
    this.#listeners.emit('restart', { threadId, peerId, delayMs, error });
  }

  /** The slot is not refilled. If workers died too often, no slot is from now on. */
  #abandon(slot, cause) {
    this.#slots.delete(slot);
    const { policy } = this.#group;
    if (policy === undefined) {
      this.#warnUnlessListening(['exit'], 'SLUICE_WORKER_DIED', 'died', cause);
      return;
    }
    this.#group.policy = undefined;
    const what = `dies too often; accepted: ${policy.terms}`;
    this.#warnUnlessListening(['failed'], 'SLUICE_GROUP_FAILED', what, cause);
    const message = `${this.#group.plan.title} ${what}`;
    this.#listeners.emit('failed', new SluiceError('SPAWN_FAILED', message, { cause }));
  }

  /** A death that no listener handles emits a process warning. */
  #warnUnlessListening(events, code, what, cause) {
    if (events.some((event) => this.#listeners.count(event) > 0)) return;
    const detail = cause === undefined ? undefined : (cause.stack ?? String(cause));
    warn(code, `${this.#group.plan.title} ${what}`, detail);
  }
}

module.exports = { WorkerGroup };
