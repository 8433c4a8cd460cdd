'use strict';

const { Deadline } = require('../runtime/deadline');
const { SluiceError } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { SupervisedWorker } = require('./supervised-worker');

/** A slot of a group: has one worker after the other, until it is closed or abandoned. */
class WorkerSlot {
  #group;
  #worker;
  /** Starting, to replace the worker. */
  #successor;
  /** The back-off before the next start. */
  #pause;
  /** Deaths in a row. */
  #deaths = 0;
  #hasBeenUp = false;
  #restarts = 0;
  /** Set by `leave`. No thread is started after that. */
  #isClosed = false;

  /** `group`: `{ plan, policy, isRef, onUp, onEnd, onRestart, onAbandon }`. */
  constructor(group) {
    this.#group = group;
  }

  get threads() {
    return [this.#worker, this.#successor].filter((worker) => worker !== undefined);
  }

  get isUp() {
    return this.#worker?.isUp === true && !this.#worker.isLeaving;
  }

  /** For `group.workers`. */
  describe() {
    const { threadId = null, peerId = null, startedAt = null } = this.#worker ?? {};
    return { threadId, peerId, state: this.#state(), restarts: this.#restarts, startedAt };
  }

  /** Resolves when the first worker is up; rejects, and the slot is empty, if it never will be. */
  async fill() {
    this.#worker = this.#start();
    await this.#worker.up;
  }

  /** Resolves when a worker that is starting is up or has failed. */
  async settle() {
    await this.#worker?.up.catch(() => {});
  }

  /** Starts a successor; once `isReady(successor, old)` resolves, the old worker leaves. */
  async replace(isReady, timeout) {
    const old = this.#worker;
    const successor = this.#start();
    this.#successor = successor;
    try {
      await successor.up;
      await isReady(successor, old);
    } catch (error) {
      this.#successor = undefined;
      // The old worker may have died meanwhile without being restarted.
      if (this.#worker === undefined && !old.isLeaving) this.#refill(old, error);
      await successor.terminate();
      throw error;
    }
    this.#successor = undefined;
    this.#worker = successor;
    await old.leave(timeout);
  }

  /** Resolves when all its threads have ended; no thread is started any more. */
  async leave(timeout) {
    this.#isClosed = true;
    this.#pause?.cancel();
    this.#pause = undefined;
    await Promise.all(this.threads.map((worker) => worker.leave(timeout)));
  }

  setRef(isRef) {
    this.#pause?.setRef(isRef);
    for (const worker of this.threads) worker.setRef(isRef);
  }

  #state() {
    if (this.#worker === undefined) return 'restarting';
    if (this.#worker.isLeaving) return 'closing';
    return this.#worker.isUp ? 'up' : 'starting';
  }

  #start() {
    if (this.#isClosed) throw new SluiceError('CLOSED', `${this.#group.plan.title}: its group is closed`);
    const worker = new SupervisedWorker(this.#group.plan, this.#group.isRef);
    worker.up.then(
      () => {
        this.#hasBeenUp = true;
        this.#group.onUp(worker);
      },
      () => {},
    );
    worker.exited.then((end) => this.#onEnd(worker, end));
    return worker;
  }

  #onEnd(worker, end) {
    this.#group.onEnd(worker, end);
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    if (worker.isLeaving || !this.#hasBeenUp || this.#successor !== undefined) return;
    this.#refill(worker, end.error);
  }

  #refill(died, error) {
    if (this.#isClosed) return;
    const { policy, isRef, onRestart, onAbandon } = this.#group;
    const now = native.elapsed();
    const lasted = died.upAt !== undefined && policy?.isLong(now - died.upAt);
    this.#deaths = lasted ? 1 : this.#deaths + 1;
    if (!policy?.grant(now)) {
      onAbandon(this, error);
      return;
    }
    this.#restarts += 1;
    const delayMs = policy.delay(this.#deaths);
    this.#pause = new Deadline(delayMs, () => this.#restart(), { ref: isRef });
    onRestart(died, delayMs, error);
  }

  #restart() {
    this.#pause = undefined;
    if (!this.#isClosed) this.#worker = this.#start();
  }
}

module.exports = { WorkerSlot };
