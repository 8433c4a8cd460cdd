'use strict';

const { callSignal, circuitBreakerOptions } = require('./options');
const { publishEvents } = require('../observation/channels');
const { numberChange } = require('../runtime/change-numbers');
const { DeadlineList } = require('../runtime/deadline-list');
const { invalidOption, SluiceError } = require('../runtime/errors');
const { FiredCall } = require('./fired-call');
const layouts = require('../runtime/layouts');
const { handlesOf, integers, native, noAnswer, numbers } = require('../runtime/native');
const { openNamed } = require('../runtime/on-mismatch');
const { checkName, checkTextKey } = require('../runtime/schema');
const { Permit } = require('./permit');
const { SubscribedListeners } = require('../runtime/subscribed-listeners');
const { kCircuit, kForemost } = require('./symbols');

const { ADMITTED, BREAKER_REFUSAL, CALL_TIMES, CIRCUIT_STATES, PERMIT, PERMIT_CALL, REFUSED } = layouts;
const { HANDLE } = PERMIT_CALL;
const { ANSWER, TICKET_HIGH, TICKET_LOW, STARTED_HIGH, STARTED_LOW } = PERMIT;
const { acquireForCall, acquirePermit, releasePermit } = native;

const STATES = Object.keys(CIRCUIT_STATES);

/** The event for each new state: calls are refused, a few may try, or all pass. */
const EVENT_OF = { open: 'open', isolated: 'open', halfOpen: 'halfOpen', closed: 'close', disabled: 'close' };
const EVENTS = ['open', 'halfOpen', 'close'];

/** A handle is released when the last object of this thread that uses it is collected. */
const collected = handlesOf(native.releaseCircuitBreaker);

class CircuitBreaker {
  #name;
  #handle;
  /** What permits and calls share. It references this object, so that the handle stays valid while they exist. */
  #source;
  #fallback;
  #listeners = new SubscribedListeners('CircuitBreaker', EVENTS, {
    begin: (subscription) => native.subscribeToCircuits(this.#handle, subscription),
    end: (subscription) => native.unsubscribeFromCircuits(this.#handle, subscription),
    emit: (delivery) => this.#notify(delivery),
  });
  /** Dropped events that no listener was notified of yet. */
  #missed = 0;

  constructor(name, options) {
    checkName('CircuitBreaker', name);
    this.#name = name;
    const { shared, errorFilter } = circuitBreakerOptions(options);
    const open = (reconfigures) => native.openCircuitBreaker(name, shared, reconfigures);
    this.#handle = openNamed('CircuitBreaker', name, options, open);
    collected.register(this, this.#handle);
    const deadlines = new DeadlineList({ tickMs: 1, keepsAlive: true, isDeferred: false });
    this.#source = { breaker: this, name, handle: this.#handle, errorFilter, deadlines };
    publishEvents('CircuitBreaker', this);
  }

  static destroy(name) {
    checkName('CircuitBreaker', name);
    return native.destroyCircuitBreaker(name);
  }

  get name() {
    return this.#name;
  }

  /** Rejects for invalid arguments too; never throws. */
  fire(peer, fn, options) {
    let signal;
    try {
      if (typeof fn !== 'function') throw invalidOption('CircuitBreaker fire', fn, 'a function');
      signal = callSignal('CircuitBreaker fire', options);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#fire(peer, fn, signal);
  }

  /** The call's signal follows the arguments where `fn` declares a parameter for it. */
  wrap(peer, fn, options) {
    checkPeer(peer);
    if (typeof fn !== 'function') throw invalidOption('CircuitBreaker wrap', fn, 'a function');
    const callerSignal = callSignal('CircuitBreaker wrap', options);
    const fire = (call) => this.#fire(peer, call, callerSignal);
    return function (...args) {
      return fire(
        fn.length > args.length ? (signal) => fn.call(this, ...args, signal) : () => fn.apply(this, args),
      );
    };
  }

  fallback(fn) {
    if (typeof fn !== 'function') throw invalidOption('CircuitBreaker fallback', fn, 'a function');
    this.#fallback = fn;
    return this;
  }

  tryAcquire(peer) {
    if (typeof peer !== 'string' || peer === '') checkPeer(peer);
    integers[HANDLE] = this.#handle;
    acquirePermit(peer);
    const answer = integers[ANSWER];
    if (answer !== ADMITTED) return answer === REFUSED ? null : noAnswer();
    const ticketHigh = integers[TICKET_HIGH];
    const ticketLow = integers[TICKET_LOW];
    try {
      return new Permit(this.#source, ticketHigh, ticketLow, integers[STARTED_HIGH], integers[STARTED_LOW]);
    } catch (error) {
      // A stack overflow: the caller does not receive the permit. Nothing but the answer has to be written again.
      integers[HANDLE] = this.#handle;
      releasePermit();
      throw error;
    }
  }

  state(peer) {
    checkPeer(peer);
    return native.circuitState(this.#handle, peer);
  }

  isolate(peer) {
    checkPeer(peer);
    native.isolateCircuit(this.#handle, peer);
  }

  disable(peer) {
    checkPeer(peer);
    native.disableCircuit(this.#handle, peer);
  }

  reset(peer) {
    checkPeer(peer);
    native.resetCircuit(this.#handle, peer);
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

  stats(peer) {
    if (peer === undefined) return totals(native.circuitBreakerStats(this.#handle));
    checkPeer(peer);
    return circuit(native.circuitStats(this.#handle, peer) ?? NEVER_CALLED);
  }

  [kCircuit](peer) {
    const stats = native.circuitStats(this.#handle, peer);
    return stats === null || stats === undefined ? undefined : circuit(stats);
  }

  [kForemost](most) {
    const { circuits, others } = native.foremostCircuitStats(this.#handle, most);
    return { circuits: circuits.map((stats) => ({ target: stats.peer, ...circuit(stats) })), others };
  }

  toJSON() {
    const circuits = native.allCircuitStats(this.#handle).map((stats) => [stats.peer, circuit(stats)]);
    return { name: this.#name, ...this.stats(), circuits: Object.fromEntries(circuits) };
  }

  #fire(peer, fn, signal) {
    let answer;
    try {
      signal?.throwIfAborted();
      if (typeof peer !== 'string' || peer === '') checkPeer(peer);
      integers[HANDLE] = this.#handle;
      acquireForCall(peer);
      answer = integers[ANSWER];
      if (answer !== ADMITTED && answer !== REFUSED) noAnswer();
    } catch (error) {
      return Promise.reject(error);
    }
    const settled = answer === ADMITTED ? this.#run(peer, fn, signal) : Promise.reject(this.#refusal(peer));
    const fallback = this.#fallback;
    return fallback === undefined
      ? settled
      : settled.catch((error) => {
          // A call that its caller aborted rejects with the reason.
          if (signal?.aborted) throw error;
          return fallback(error, peer);
        });
  }

  /** Runs a call with the permit that native code has just written. */
  #run(peer, fn, signal) {
    // Read before the promise exists: hooks of `async_hooks` run when it is made, and may call this library.
    const permit = {
      ticketHigh: integers[TICKET_HIGH],
      ticketLow: integers[TICKET_LOW],
      startedHigh: integers[STARTED_HIGH],
      startedLow: integers[STARTED_LOW],
      startedAt: numbers[CALL_TIMES.STARTED_AT],
      timeoutMs: numbers[CALL_TIMES.TIMEOUT],
    };
    let hasRun = false;
    const settled = new Promise((resolve, reject) => {
      new FiredCall(this.#source, peer, permit, resolve, reject).run(fn, signal);
      hasRun = true;
    });
    // The stack overflowed, and the promise has rejected with that.
    if (!hasRun) {
      integers[HANDLE] = this.#handle;
      integers[TICKET_HIGH] = permit.ticketHigh;
      integers[TICKET_LOW] = permit.ticketLow;
      releasePermit();
    }
    return settled;
  }

  /** The error for a refusal, by the layout BREAKER_REFUSAL that native code has just written. */
  #refusal(peer) {
    const state = STATES[numbers[BREAKER_REFUSAL.STATE]];
    const wait = numbers[BREAKER_REFUSAL.RETRY_AFTER];
    const retryAfterMs = wait < 0 ? null : wait;
    const hint = retryAfterMs === null ? 'reset it to let calls pass' : `try again in ${retryAfterMs} ms`;
    const message = `CircuitBreaker "${this.#name}": the circuit of ${JSON.stringify(peer)} is ${state}; ${hint}`;
    return Object.assign(new SluiceError('BREAKER_OPEN', message), { peer, state, retryAfterMs });
  }

  #notify({ peer, missed, circuit: { number, from, to, calls, failures, slowCalls, openForMs } }) {
    this.#missed += missed;
    const event = EVENT_OF[to];
    if (this.#listeners.count(event) === 0) return;
    const change = { peer, state: to, from, calls, failures, slowCalls };
    if (typeof openForMs === 'number') change.openForMs = openForMs;
    if (this.#missed > 0) change.missed = this.#missed;
    this.#missed = 0;
    numberChange(change, number);
    this.#listeners.emit(event, change);
  }
}

const NEVER_CALLED = {
  state: 'closed',
  calls: 0,
  failures: 0,
  slowCalls: 0,
  failureRate: 0,
  slowCallRate: 0,
  openings: 0,
};

function checkPeer(peer) {
  checkTextKey('peer', peer);
}

function totals({ closed, open, halfOpen, isolated, disabled, ...counts }) {
  return { ...counts, peers: { closed, open, halfOpen, isolated, disabled } };
}

function circuit({ state, calls, failures, slowCalls, failureRate, slowCallRate, retryAfterMs, openings }) {
  const rates = { calls, failures, slowCalls, failureRate, slowCallRate };
  return { state, ...rates, openings, retryAfterMs: retryAfterMs ?? null };
}

module.exports = { CircuitBreaker };
