'use strict';

const { Deadline } = require('../runtime/deadline');
const { SluiceError } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { SupervisedWorker } = require('./supervised-worker');

/** A place in a group: it has one worker after the other, until it is given up. */
class WorkerPlace {
  #group;
  #worker;
  /** Starting, to take the place of the worker. */
  #successor;
  /** Until the next start. */
  #pause;
  /** In a row, of workers that did not last. */
  #deaths = 0;
  #hasBeenUp = false;
  #restarts = 0;
  /** Set by `leave`. No thread is started here after that. */
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

  /** Resolves when the first worker is up; rejects, and nobody is here, when it will never be. */
  async fill() {
    this.#worker = this.#start();
    await this.#worker.up;
  }

  /** Until a worker that is starting is up, or will never be. */
  async settle() {
    await this.#worker?.up.catch(() => {});
  }

  /** Another worker takes over: `isReady(successor)` resolves when it can, and the old one leaves then. */
  async replace(isReady, timeout) {
    const old = this.#worker;
    const successor = this.#start();
    this.#successor = successor;
    try {
      await successor.up;
      await isReady(successor, old);
    } catch (error) {
      this.#successor = undefined;
      // The old one may have died meanwhile, and nobody was started for it.
      if (this.#worker === undefined && !old.isLeaving) this.#refill(old, error);
      await successor.terminate();
      throw error;
    }
    this.#successor = undefined;
    this.#worker = successor;
    await old.leave(timeout);
  }

  /** Resolves when everybody has gone; nobody is started any more. */
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

module.exports = { WorkerPlace };
