'use strict';

const { Deadline } = require('../runtime/deadline');
const { keepAlive, letGo, native } = require('../runtime/native');

/** How a peer leaves: after it has finished its work, or at once. */
class Departure {
  #membership;
  #queue;
  #inFlight;
  #service;
  /** The groups of workers that the peer has spawned. */
  #groups;
  #forget;
  #stop;
  /** Settles when the peer has left. `undefined` before `close`. */
  #closing;
  /** Whether the peer leaves as soon as it is idle. */
  #isFinishing = false;
  #onLeft;
  /** Whether messages that were taken are being handled: the peer has not finished then. */
  isHandlingMessages = false;

  /** When the peer leaves, `forget` makes room for a new one at once, and `stop` ends what it runs in this thread. */
  constructor({ membership, queue, inFlight, service }, groups, { forget, stop }) {
    this.#membership = membership;
    this.#queue = queue;
    this.#inFlight = inFlight;
    this.#service = service;
    this.#groups = groups;
    this.#forget = forget;
    this.#stop = stop;
  }

  get isClosing() {
    return this.#closing !== undefined;
  }

  /**
   * Closes the groups, accepts nothing new, answers pending requests, and leaves; after `timeout` milliseconds it leaves
   * anyway.
   */
  close(timeout) {
    if (this.#closing === undefined) {
      this.#closing = this.#groups.size === 0 ? this.#finish(timeout) : this.#closeGroups(timeout);
    }
    return this.#closing;
  }

  /** Leaves at once and answers nothing. */
  leave() {
    if (this.#membership.hasLeft) return;
    this.#membership.hasLeft = true;
    this.#forget();
    this.#inFlight.close();
    this.#service.close();
    this.#queue.flush();
    native.leaveBroker(this.#membership.handle);
    this.#stop();
    for (const group of this.#groups) group.close();
    this.#onLeft?.();
  }

  /** Leaves if the peer is closing and has finished. */
  finishIfIdle() {
    if (this.#isFinishing && !this.#membership.hasLeft && this.#hasFinished()) this.leave();
  }

  async #closeGroups(timeout) {
    const due = native.elapsed() + timeout;
    await Promise.all([...this.#groups].map((group) => group.close({ timeout })));
    await this.#finish(Math.max(0, due - native.elapsed()));
  }

  #finish(timeout) {
    if (this.#membership.hasLeft) return Promise.resolve();
    native.startLeavingBroker(this.#membership.handle);
    this.#queue.flush();
    this.#isFinishing = true;
    this.finishIfIdle();
    if (this.#membership.hasLeft) return Promise.resolve();
    keepAlive();
    return new Promise((resolve) => {
      let deadline;
      this.#onLeft = () => {
        deadline?.cancel();
        letGo();
        resolve(undefined);
      };
      deadline = new Deadline(timeout, () => this.leave());
    });
  }

  #hasFinished() {
    if (this.isHandlingMessages || this.#service.running > 0) return false;
    return native.hasFinishedInBroker(this.#membership.handle);
  }
}

module.exports = { Departure };
