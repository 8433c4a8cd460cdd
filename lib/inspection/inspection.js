'use strict';

const { startObservation } = require('../observation');
const { SluiceError } = require('../runtime/errors');
const { native, subscribe, unsubscribe } = require('../runtime/native');
const { warn } = require('../runtime/warn');
const { openSocket } = require('./socket');

/**
 * One call of `inspect()`: a claim to serve the socket of the process. The first claim serves it, the others stand by; each
 * change of that is told by the native side.
 */
class Inspection {
  #options;
  #subscription;
  #socket;
  #hasFailed = false;
  #isClosed = false;
  /** Opening and closing, one after the other. */
  #moves = Promise.resolve();

  /** `options.actions` is undefined for a claim that the environment asks for. */
  constructor(options) {
    this.#options = options;
    this.#subscription = subscribe(() => this.#follow());
    if (!native.joinInspection(this.#subscription, options.actions)) {
      unsubscribe(this.#subscription);
      throw mismatch(options.actions);
    }
    startObservation();
    this.#follow();
  }

  /** What this thread does: `'serving'`, `'standby'`, `'failed'` or `'closed'`. */
  get state() {
    if (this.#isClosed) return 'closed';
    if (this.#hasFailed) return 'failed';
    return this.#socket === undefined ? 'standby' : 'serving';
  }

  /** The path of the socket, where this thread serves it; else null. */
  get path() {
    return this.#socket?.path ?? null;
  }

  /** Resolves with the state once the socket is open, or it is clear that this thread does not open it now. */
  async ready() {
    await this.#moves;
    return this.state;
  }

  /** Gives the claim up; the next thread takes the socket over. */
  async close() {
    if (!this.#isClosed) {
      this.#isClosed = true;
      if (!this.#hasFailed) this.#leave();
      this.#follow();
    }
    await this.#moves;
  }

  /** The next claim is told that it is the first now. */
  #leave() {
    unsubscribe(this.#subscription);
    native.leaveInspection(this.#subscription);
  }

  #follow() {
    this.#moves = this.#moves.then(() => this.#move());
  }

  async #move() {
    const serves = !this.#isClosed && native.servesInspection(this.#subscription);
    if (serves && this.#socket === undefined && !this.#hasFailed) await this.#open();
    else if (!serves && this.#socket !== undefined) await this.#shut();
  }

  async #open() {
    try {
      this.#socket = await openSocket(this.#options);
    } catch (error) {
      this.#hasFailed = true;
      warn('SLUICE_NOT_INSPECTABLE', `this process cannot be inspected: ${error.message}`);
      if (!this.#isClosed) this.#leave();
    }
  }

  #shut() {
    const socket = this.#socket;
    this.#socket = undefined;
    return socket.close();
  }
}

function mismatch(actions) {
  return new SluiceError(
    'CONFIG_MISMATCH',
    `inspect actions is ${actions}, and ${!actions} in another call of this process; accepted: the same in all threads`,
  );
}

module.exports = { Inspection };
