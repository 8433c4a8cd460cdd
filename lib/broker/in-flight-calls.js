'use strict';

const { addAbortListener, removeAbortListener } = require('../runtime/abort-listeners');
const { rebuild, undecodable } = require('../runtime/carried-error');
const { DeadlineList } = require('../runtime/deadline-list');
const { SluiceError } = require('../runtime/errors');
const { time } = require('../runtime/measured');
const { keepAlive, letGo, native } = require('../runtime/native');
const { CANCELLED } = require('./headers');

/**
 * The table of calls that this thread awaits. Whatever ends a call first removes it from the table, so it settles once:
 * the reply, the handler's error, the deadline, the caller's signal, the end of the peer or of the broker. What comes
 * later is counted.
 */
class InFlightCalls {
  /** By slot. Slots are reused; the request's number distinguishes their calls. */
  #calls = [];
  #free = [];
  #count = 0;
  /** Deadlines do not keep the thread alive; in-flight calls do. */
  #deadlines = new DeadlineList({ tickMs: 8, keepsAlive: false, isDeferred: true });
  #cancel;
  #describe;
  #membership;

  /** How calls ended. */
  counts = { replies: 0, failures: 0, timeouts: 0, aborted: 0, peersGone: 0, late: 0 };

  /** `cancel(call, reason)` notifies the receiver of a call that it is no longer awaited. */
  constructor(membership, cancel) {
    this.#membership = membership;
    this.#cancel = cancel;
    this.#describe = (call, what) =>
      `${membership.title}: the call of ${JSON.stringify(call.endpoint)} ${what}`;
  }

  get count() {
    return this.#count;
  }

  /** Adds a call to a free slot. After a stack overflow `drop` undoes what was done. */
  add(call, due) {
    if (this.#count === 0) keepAlive();
    this.#count += 1;
    call.inFlight = this;
    const slot = this.#free.pop() ?? this.#calls.length;
    this.#calls[slot] = call;
    call.slot = slot;
    this.#deadlines.add(call, due);
    if (call.signal !== undefined) {
      call.onAbort = () => this.#abort(call);
      addAbortListener(call.signal, call.onAbort);
    }
  }

  /** Sets a timer for the calls that were added. */
  armDeadlines() {
    this.#deadlines.arm();
  }

  /** Removes a call that was not sent. Its caller has got an error. */
  drop(call) {
    if (call.inFlight === undefined) return;
    this.#deadlines.remove(call);
    this.#remove(call);
  }

  resolve(slot, sequence, value) {
    const call = this.#take(slot, sequence);
    if (call === undefined) return;
    this.counts.replies += 1;
    if (call.sentAt !== 0) this.#measure(call);
    call.resolve(value);
  }

  fail(slot, sequence, outlined) {
    const call = this.#take(slot, sequence);
    if (call === undefined) return;
    this.counts.failures += 1;
    if (call.sentAt !== 0) this.#measure(call);
    call.reject(this.#errorOf(call, outlined));
  }

  /** The answer has arrived and cannot be decoded. */
  undecodable(slot, sequence, error) {
    const call = this.#take(slot, sequence);
    if (call === undefined) return;
    this.counts.failures += 1;
    call.reject(undecodable(this.#describe(call, 'was answered by what'), error));
  }

  /** Rejects the calls of a peer that has left. */
  peerLeft(number, id) {
    this.#endEach(
      (call) => call.receiver === number,
      (call) => {
        this.counts.peersGone += 1;
        const what = `was not answered, as peer "${id}" is gone; the handler may have run`;
        return new SluiceError('PEER_GONE', this.#describe(call, what));
      },
    );
  }

  /** Rejects all calls: this peer leaves. */
  close() {
    this.#cancelEach(() => true, 'was not answered before this peer left');
  }

  /** Rejects the calls that were made before everything was reset. */
  followReset(first) {
    this.#cancelEach((call) => call.sequence < first, 'was not answered before everything was reset');
  }

  /** Rejects a call whose deadline has passed; `DeadlineList` has removed it from its list. */
  expired(call) {
    this.#remove(call);
    this.counts.timeouts += 1;
    this.#cancel(call, CANCELLED.timedOut);
    const what = `was not answered within ${call.timeout} ms; the handler may have run`;
    call.reject(new SluiceError('TIMEOUT', this.#describe(call, what)));
  }

  /** Adds how long the answer took. */
  #measure({ receiver, sentAt }) {
    native.addRoundTrip(this.#membership.handle, receiver, time() - sentAt);
  }

  #abort(call) {
    this.#deadlines.remove(call);
    this.#remove(call);
    this.counts.aborted += 1;
    this.#cancel(call, CANCELLED.aborted);
    call.reject(call.signal.reason);
  }

  #cancelEach(isEnded, what) {
    this.#endEach(isEnded, (call) => {
      this.#cancel(call, CANCELLED.closed);
      return new SluiceError('CLOSED', this.#describe(call, what));
    });
  }

  #endEach(isEnded, errorOf) {
    for (const call of [...this.#calls]) {
      if (call === undefined || !isEnded(call)) continue;
      this.#take(call.slot, call.sequence);
      call.reject(errorOf(call));
    }
  }

  #errorOf(call, outlined) {
    try {
      return rebuild(outlined);
    } catch (error) {
      return undecodable(this.#describe(call, 'failed by what'), error);
    }
  }

  #take(slot, sequence) {
    const call = this.#calls[slot];
    if (call === undefined || call.sequence !== sequence) {
      this.counts.late += 1;
      return undefined;
    }
    this.#deadlines.remove(call);
    this.#remove(call);
    return call;
  }

  #remove(call) {
    call.inFlight = undefined;
    if (call.slot >= 0) {
      this.#calls[call.slot] = undefined;
      this.#free.push(call.slot);
    }
    this.#count -= 1;
    if (this.#count === 0) letGo();
    if (call.onAbort !== undefined) removeAbortListener(call.signal, call.onAbort);
  }
}

module.exports = { InFlightCalls };
