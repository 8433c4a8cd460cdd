'use strict';

const { SluiceError } = require('../../runtime/errors');
const {
  ELSEWHERE,
  FLEET_ANSWER,
  FLEET_ANSWER_KIND,
  FLEET_FAILURE,
  FLEET_OPERATION,
  FLEET_SOURCE,
  HELD,
  LIMITER_CALL,
  MIDDLEWARE,
} = require('../../runtime/layouts');
const { measured, time } = require('../../runtime/measured');
const { handlesOf, integers, native, numbers } = require('../../runtime/native');
const { checkCost } = require('../cost');
const { readFleetDecision, readLeftReceipt, readReceipt } = require('./answer');
const { abandon, makeCall } = require('./desk');
const { warnOfEviction } = require('./eviction');
require('./differences');

const { RECEIPT_AT } = MIDDLEWARE;
const { decided: DECIDED, failed: FAILED } = FLEET_ANSWER_KIND;

/** Of a call that is not for middleware. */
const PLAIN = { limit: undefined, isForMiddleware: false };

/** For `awaitFleet`, which asks for nothing. */
const NO_OPERATION = 0;
/** In place of a limit for one call. */
const NO_LIMIT = 0;

const FAILURES = {
  timeout: 'it did not answer in time, so it may have been done or not',
  away: 'it cannot be reached',
  full: 'too many calls are pending',
  late: 'the call reached it too late, and changed nothing',
  refused: 'it refused the call',
  foreign: 'the key holds something that this library did not write',
};

/** The reasons in the order of their codes. */
const failureNames = Object.keys(FLEET_FAILURE);

/** A native handle is released when the last object of this thread that stands for it is collected. */
const collected = handlesOf(native.releaseFleet);

/** The counts of one limiter on a server, as this thread asks for them. */
class Fleet {
  #handle;
  #limiter;
  #policyNames;
  #generation;
  /** Whether calls are decided by units that this process holds. */
  #isLeased;
  #knowsServer = false;
  /** By decisions: what taking their charges back requires. */
  #receipts = new WeakMap();

  /** `limiter` is the native handle of the limiter of this process, which has the options. */
  constructor(handle, limiter) {
    this.#handle = handle;
    this.#limiter = limiter;
    this.#isLeased = native.isLeased(handle);
    collected.register(this, handle);
  }

  get isLeased() {
    return this.#isLeased;
  }

  /** The handle of synchronous calls. */
  get syncHandle() {
    return this.#isLeased ? HELD - this.#handle : ELSEWHERE;
  }

  consume(key, cost) {
    return this.#decide(FLEET_OPERATION.take, key, cost);
  }

  peek(key) {
    return this.#decide(FLEET_OPERATION.peek, key, 1);
  }

  /** As `consume`, with what middleware asks for. `limit` replaces the configured one, unless it is undefined. */
  decide(key, cost, limit) {
    return this.#decide(FLEET_OPERATION.take, key, cost, { limit, isForMiddleware: true });
  }

  refund(key, cost) {
    return this.#do(FLEET_OPERATION.refund, key, cost);
  }

  penalize(key, cost) {
    return this.#do(FLEET_OPERATION.penalize, key, cost);
  }

  block(key, durationMs) {
    return this.#do(FLEET_OPERATION.block, key, durationMs);
  }

  reset(key) {
    return this.#do(FLEET_OPERATION.reset, key, 1);
  }

  /** The generation of the options that decided last. */
  get generation() {
    return this.#generation;
  }

  /** What `undo` needs to take a charge back. Of a synchronous call, right after it. */
  receiptOf(decision) {
    return this.#receipts.get(decision) ?? readLeftReceipt();
  }

  /** Takes a charge back, where it was made; one that no count knows is none. */
  async undo(key, cost, { source, receipt, isExact = false }) {
    numbers.set(receipt, RECEIPT_AT);
    const isGranted = source === FLEET_SOURCE.redis || source === FLEET_SOURCE.lease;
    if (this.#isLeased && isGranted && !isExact) this.#putBack(key, cost);
    else if (source === FLEET_SOURCE.local) native.undoCharge(this.#limiter, key, cost);
    else if (source === FLEET_SOURCE.redis) await this.#do(FLEET_OPERATION.undo, key, cost);
  }

  /** Units of the receipt that was left are held again. Those that have lapsed are there on the server. */
  #putBack(key, cost) {
    integers[LIMITER_CALL.HANDLE] = this.syncHandle;
    native.putBackHeld(key, cost);
  }

  /** Resolves once the server can be asked; rejects after so many milliseconds. */
  ready(timeoutMs) {
    return /** @type {Promise<void>} */ (
      new Promise((resolve, reject) => {
        let ticket;
        const timer = setTimeout(() => {
          abandon(ticket);
          reject(this.#unavailable(`within ${timeoutMs} ms`));
        }, timeoutMs);
        const settledBy = (end) => (value) => {
          clearTimeout(timer);
          end(value);
        };
        const call = { settle: settledBy(() => resolve()), reject: settledBy(reject) };
        try {
          ticket = makeCall(call, this.#handle, NO_OPERATION, native.awaitFleet);
        } catch (error) {
          call.reject(error);
        }
      })
    );
  }

  /** The stats of the limiter of this process, with those of the fleet. */
  stats(local) {
    const { allowed, refused, dryRefused, ...stats } = native.fleetStats(this.#handle);
    const { failures } = stats;
    return {
      ...local,
      allowed: local.allowed + allowed,
      refused: local.refused + refused,
      dryRefused: local.dryRefused + dryRefused,
      fleet: {
        ...stats,
        timeouts: failures.timeout,
        errors: failures.refused + failures.foreign,
        latencyMs: stats.latencyMs ?? null,
        version: stats.version ?? null,
        evictionPolicy: stats.evictionPolicy ?? null,
        lastError: stats.lastError ?? null,
      },
    };
  }

  #decide(operation, key, cost, { limit, isForMiddleware } = PLAIN) {
    const isMeasured = measured.decisions && operation === FLEET_OPERATION.take;
    const started = isMeasured ? time() : undefined;
    return new Promise((resolve, reject) => {
      const settle = (answers, at) => {
        if (started !== undefined) native.addFleetDecision(time() - started);
        if (answers[at + FLEET_ANSWER.KIND] !== DECIDED) return reject(this.#failure(answers, at));
        if (answers[at + FLEET_ANSWER.CODE] === FLEET_SOURCE.redis) this.#knowServer();
        const decision = readFleetDecision(answers, at, this.#namesOf(answers[at + FLEET_ANSWER.GENERATION]));
        if (isForMiddleware) {
          decision.moreAfterMs = answers[at + FLEET_ANSWER.MORE_AFTER];
          this.#receipts.set(decision, { ...readReceipt(answers, at), isExact: limit !== undefined });
        }
        resolve(decision);
      };
      const ask = () => native.askFleet(key, checkCost(cost), limit ?? NO_LIMIT);
      makeCall({ settle, reject }, this.#handle, operation, ask);
    });
  }

  /** Looks at the server once it has decided a call: what it does when its memory is full is known then. */
  #knowServer() {
    if (this.#knowsServer) return;
    this.#knowsServer = true;
    warnOfEviction(native.fleetStats(this.#handle));
  }

  /** Resolves to whether anything was there. */
  #do(operation, key, amount) {
    return new Promise((resolve, reject) => {
      const settle = (answers, at) => {
        if (answers[at + FLEET_ANSWER.KIND] === FAILED) reject(this.#failure(answers, at));
        else resolve(answers[at + FLEET_ANSWER.CODE] === 1);
      };
      const ask = () => native.askFleet(key, amount, NO_LIMIT);
      makeCall({ settle, reject }, this.#handle, operation, ask);
    });
  }

  #failure(answers, at) {
    const failure = answers[at + FLEET_ANSWER.CODE];
    const { server, lastError } = native.fleetStats(this.#handle);
    const why = `Redis at ${server} has not done the call: ${FAILURES[failureNames[failure]]}`;
    const last = lastError === undefined ? '' : `; last error: ${lastError}`;
    return new SluiceError(failure === FLEET_FAILURE.full ? 'BACKPRESSURE' : 'SCOPE_UNAVAILABLE', why + last);
  }

  #unavailable(when) {
    const { server, lastError } = native.fleetStats(this.#handle);
    const why = lastError === undefined ? '' : `: ${lastError}`;
    return new SluiceError('SCOPE_UNAVAILABLE', `Redis at ${server} cannot be asked ${when}${why}`);
  }

  #namesOf(generation) {
    if (generation !== this.#generation) {
      this.#policyNames = native.rateLimiterPolicies(this.#limiter).map(({ name }) => name);
      this.#generation = generation;
    }
    return this.#policyNames;
  }
}

/** The counts on a server by their native handle; null where there is none, as this process or machine counts. */
function fleetOf(handle, limiter) {
  return handle === undefined || handle === null ? null : new Fleet(handle, limiter);
}

module.exports = { fleetOf };
