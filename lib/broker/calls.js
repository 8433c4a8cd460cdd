'use strict';

const { addAbortListener, removeAbortListener } = require('../runtime/abort-listeners');
const { rebuild, undecodable } = require('../runtime/carried-error');
const { DeadlineList } = require('../runtime/deadline-list');
const { SluiceError } = require('../runtime/errors');
const { keepAlive, letGo } = require('../runtime/native');
const { CANCELLED } = require('./frame');

/**
 * Calls that this thread awaits. Whatever ends a call takes it out first, in one step, so it settles once: the reply, the handler's
 * error, the deadline, the caller's signal, the end of the peer, the end of the broker. What comes later is counted.
 */
class Calls {
  /** By place. A call's number tells it from others that had its place. */
  #calls = [];
  #free = [];
  #count = 0;
  /** Deadlines do not keep the thread alive; pending calls do. */
  #deadlines = new DeadlineList({ tickMs: 8, keepsAlive: false, isDeferred: true });
  /** Tells a peer that nobody waits for its answer any more. */
  #cancel;
  #describe;

  /** What became of calls. */
  counts = { replies: 0, failures: 0, timeouts: 0, aborted: 0, peersGone: 0, late: 0 };

  constructor(brokerName, cancel) {
    this.#cancel = cancel;
    this.#describe = (call, what) =>
      `Broker "${brokerName}": the call of ${JSON.stringify(call.endpoint)} ${what}`;
  }

  get count() {
    return this.#count;
  }

  /** The place of a new call. After a stack overflow `drop` undoes what was done. */
  add(call, due) {
    if (this.#count === 0) keepAlive();
    this.#count += 1;
    call.calls = this;
    const place = this.#free.pop() ?? this.#calls.length;
    this.#calls[place] = call;
    call.place = place;
    this.#deadlines.add(call, due);
    if (call.signal !== undefined) {
      call.onAbort = () => this.#abort(call);
      addAbortListener(call.signal, call.onAbort);
    }
    return place;
  }

  /** Sets a timer for the calls that were added. */
  watch() {
    this.#deadlines.arm();
  }

  /** Removes a call that was not sent. Its caller has an error already. */
  drop(call) {
    if (call.calls === undefined) return;
    this.#deadlines.remove(call);
    this.#remove(call);
  }

  resolve(place, sequence, value) {
    const call = this.#take(place, sequence);
    if (call === undefined) return;
    this.counts.replies += 1;
    call.resolve(value);
  }

  fail(place, sequence, outlined) {
    const call = this.#take(place, sequence);
    if (call === undefined) return;
    this.counts.failures += 1;
    call.reject(this.#errorOf(call, outlined));
  }

  /** The answer has come and cannot be decoded. */
  undecodable(place, sequence, error) {
    const call = this.#take(place, sequence);
    if (call === undefined) return;
    this.counts.failures += 1;
    call.reject(undecodable(this.#describe(call, 'was answered by what'), error));
  }

  /** A peer has left: what it had not answered it never will. */
  peerLeft(number, id) {
    this.#end(
      (call) => call.receiver === number,
      (call) => {
        this.counts.peersGone += 1;
        const what = `was not answered, as peer "${id}" is gone; the handler may have run`;
        return new SluiceError('PEER_GONE', this.#describe(call, what));
      },
    );
  }

  /** This peer leaves. */
  close() {
    this.#end(
      () => true,
      (call) => {
        this.#cancel(call, CANCELLED.closed);
        return new SluiceError('CLOSED', this.#describe(call, 'was not answered before this peer left'));
      },
    );
  }

  /** Everything was reset: calls with lower numbers were made before. */
  followReset(first) {
    this.#end(
      (call) => call.sequence < first,
      (call) => {
        this.#cancel(call, CANCELLED.closed);
        return new SluiceError(
          'CLOSED',
          this.#describe(call, 'was not answered before everything was reset'),
        );
      },
    );
  }

  /** The deadline of a call has passed; it is in no list of deadlines any more. */
  expired(call) {
    this.#remove(call);
    this.counts.timeouts += 1;
    this.#cancel(call, CANCELLED.timedOut);
    const what = `was not answered within ${call.timeout} ms; the handler may have run`;
    call.reject(new SluiceError('TIMEOUT', this.#describe(call, what)));
  }

  #abort(call) {
    this.#deadlines.remove(call);
    this.#remove(call);
    this.counts.aborted += 1;
    this.#cancel(call, CANCELLED.aborted);
    call.reject(call.signal.reason);
  }

  /** Ends the calls that are chosen, with an error for each. */
  #end(isChosen, errorOf) {
    for (const call of [...this.#calls]) {
      if (call === undefined || !isChosen(call)) continue;
      this.#take(call.place, call.sequence);
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

  #take(place, sequence) {
    const call = this.#calls[place];
    if (call === undefined || call.sequence !== sequence) {
      this.counts.late += 1;
      return undefined;
    }
    this.#deadlines.remove(call);
    this.#remove(call);
    return call;
  }

  #remove(call) {
    call.calls = undefined;
    if (call.place >= 0) {
      this.#calls[call.place] = undefined;
      this.#free.push(call.place);
    }
    this.#count -= 1;
    if (this.#count === 0) letGo();
    if (call.onAbort !== undefined) removeAbortListener(call.signal, call.onAbort);
  }
}

/** One call that is awaited. */
class Call {
  // Those of the lists it is in.
  place = -1;
  calls = undefined;
  tick = undefined;
  previous = undefined;
  next = undefined;
  onAbort = undefined;
  /** Of those that were not sent: see `Peer`. */
  nextUnsent = undefined;
  // Of the place that it was promised.
  receiver = 0;
  sequence = 0;
  resolve = undefined;
  reject = undefined;
  answer;

  constructor(endpoint, timeout, signal) {
    this.endpoint = endpoint;
    this.timeout = timeout;
    this.signal = signal;
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  expire() {
    this.calls.expired(this);
  }
}

module.exports = { Call, Calls };
