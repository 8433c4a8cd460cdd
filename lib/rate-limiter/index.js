'use strict';

const { throwIfAborted } = require('../runtime/abort-listeners');
const { DECISION, DONE, LIMITER_CALL, MIDDLEWARE, REFUSED, WAIT_ANSWER } = require('../runtime/layouts');
const { handlesOf, integers, isAdmitted, native, numbers } = require('../runtime/native');
const { NONE } = require('../runtime/none');
const { openNamed } = require('../runtime/on-mismatch');
const { boolean, checkName, checkOptions, parseDuration } = require('../runtime/schema');
const { withMachine } = require('../runtime/shared-scope');
const { leaveCost } = require('./cost');
const { readDecision, readForMiddleware } = require('./decision');
const { fleetOf } = require('./fleet');
const { markSource } = require('./fleet/answer');
const { KeyHandle, TextHandle } = require('./key-handle');
const { creationOptions, nativeOptions, replacementOptions } = require('./options');
const { checkReady, notAwaited } = require('./awaited');
const { Policies } = require('./policies');
const { consumeEach, consumeMany } = require('./several');
const { readWaitedDecision, readWaitedReceipt } = require('./waiting/answer');
const { acquireBy } = require('./waiting/acquire');
const { WaitingCall, waitInLine } = require('./waiting/waiting-call');
const {
  kAcquire,
  kCharge,
  kDecide,
  kDecideAwaited,
  kDecideHeld,
  kHasWaited,
  kIsAwaited,
  kJoin,
  kLimits,
  kPolicies,
  kPolicyNames,
  kReceipt,
  kSharedBy,
  kUndo,
  kWaited,
} = require('./symbols');

const { ANSWER, GENERATION } = DECISION;
const { MORE_AFTER, RECEIPT_AT } = MIDDLEWARE;
const { HANDLE, GUARD } = LIMITER_CALL;
const { acquire, acquireForMiddleware, consume, decide, decideByLimit, decideHeld, peek, tryConsume } =
  native;
const AFTER_RECEIPT = MORE_AFTER + MIDDLEWARE.LENGTH;
const NO_GUARD = -1;
const DESTROY = { everywhere: boolean };

/** Whether a call that is not to wait counts as refused: middleware asks once more, for the decision. */
const COUNTED = 1;
const UNCOUNTED = 0;

/** A native handle is released when the last object of this thread that stands for it is collected. */
const collected = handlesOf(native.releaseRateLimiter);

class RateLimiter {
  #name;
  /** The handle of synchronous calls; of the fleet's, where a server keeps the counts. */
  #handle;
  /** The handle of the limiter of this process, which has the options. */
  #own;
  /** The counts on a server; null where this process keeps them. */
  #fleet;
  #policies;
  /** By decisions of calls that waited for a guard: what taking their charges back requires. */
  #receipts = new WeakMap();
  [kHasWaited] = false;

  constructor(name, options) {
    checkName('RateLimiter', name);
    this.#name = name;
    const checked = options === undefined ? undefined : creationOptions(name, options);
    const { machine, native: shared } = checked?.scope ?? NONE;
    const open = (reconfigures) =>
      native.openRateLimiter(name, nativeOptions(checked), reconfigures, machine, shared);
    const { limiter, fleet } = openNamed('RateLimiter', name, options, open);
    this.#own = limiter;
    collected.register(this, this.#own);
    this.#fleet = fleetOf(fleet, limiter);
    this.#handle = this.#fleet === null ? this.#own : this.#fleet.syncHandle;
    this.#policies = new Policies(this.#own);
  }

  static destroy(name, options = {}) {
    checkName('RateLimiter', name);
    const { everywhere = false } = checkOptions('destroy', options, DESTROY);
    return native.destroyRateLimiter(name, everywhere);
  }

  get name() {
    return this.#name;
  }

  tryConsume(key, cost = 1) {
    this.#leave(cost);
    tryConsume(key);
    return isAdmitted();
  }

  consume(key, cost = 1) {
    this.#leave(cost);
    consume(key);
    const decision = readDecision(this.#policies.names);
    return this.#fleet === null ? decision : markSource(decision);
  }

  consumeAsync(key, cost = 1) {
    if (this.#fleet === null) return this.#soon(() => this.consume(key, cost));
    if (!this.#fleet.isLeased) return this.#fleet.consume(key, cost);
    return this.#soon(() => this.#consumeHeld(key, cost) ?? this.#fleet.consume(key, cost));
  }

  acquire(key, options) {
    return acquireBy(this, this, key, options);
  }

  peekAsync(key) {
    return this.#fleet === null ? this.#soon(() => this.peek(key)) : this.#fleet.peek(key);
  }

  async refundAsync(key, cost = 1) {
    await (this.#fleet === null ? this.refund(key, cost) : this.#fleet.refund(key, cost));
  }

  async penalizeAsync(key, cost = 1) {
    await (this.#fleet === null ? this.penalize(key, cost) : this.#fleet.penalize(key, cost));
  }

  async blockAsync(key, duration) {
    if (this.#fleet === null) return this.block(key, duration);
    return this.#fleet.block(key, parseDuration(duration, 'block duration'));
  }

  async resetAsync(key) {
    return this.#fleet === null ? this.reset(key) : this.#fleet.reset(key);
  }

  async ready(options = {}) {
    const timeout = checkReady(options);
    await this.#fleet?.ready(timeout);
  }

  consumeMany(keys, cost = 1) {
    if (this.#fleet?.isLeased) return consumeEach(this, keys, cost);
    return consumeMany(this.#handle, keys, cost);
  }

  peek(key) {
    this.#leave(1);
    peek(key);
    return readDecision(this.#policies.names);
  }

  handle(key) {
    return this.#fleet?.isLeased ? new TextHandle(this, key) : new KeyHandle(this, this.#handle, key);
  }

  refund(key, cost = 1) {
    this.#checkHere('refund');
    native.refund(this.#handle, key, cost);
  }

  penalize(key, cost = 1) {
    this.#checkHere('penalize');
    native.penalize(this.#handle, key, cost);
  }

  block(key, duration) {
    this.#checkHere('block');
    return native.block(this.#handle, key, parseDuration(duration, 'block duration')) === 1;
  }

  reset(key) {
    this.#checkHere('reset');
    return native.reset(this.#handle, key) === 1;
  }

  reconfigure(options) {
    native.reconfigureRateLimiter(this.#own, nativeOptions(replacementOptions(options)));
  }

  clear() {
    this.#checkHere('clear');
    native.clearRateLimiter(this.#own);
  }

  get size() {
    return this.stats().size;
  }

  stats() {
    const stats = withMachine(native.rateLimiterStats(this.#own));
    return this.#fleet === null ? stats : this.#fleet.stats(stats);
  }

  /** Whether a server keeps the counts, so that `kDecide` and `kUndo` return promises. */
  get [kIsAwaited]() {
    return this.#fleet !== null;
  }

  /** The scope, where lines of waiting calls are not kept. Handles of limiters that processes share are negative. */
  get [kSharedBy]() {
    if (this.#fleet !== null) return '{ redis }';
    return this.#own < 0 ? '{ shared }' : undefined;
  }

  /** As `kDecide`, by the server. */
  async [kDecideAwaited](key, cost, limit) {
    const decision = await this.#fleet.decide(key, cost, limit);
    this.#policies.follow(this.#fleet.generation);
    return decision;
  }

  [kDecideHeld](key, cost = 1, guard = NO_GUARD) {
    if (!this.#fleet.isLeased) return undefined;
    const isHeld = this.#askHeld(key, cost, guard);
    return isHeld ? markSource(this.#forMiddleware()) : undefined;
  }

  /** `limit` replaces the configured one for this call. An admitted call is counted for the guard of this handle. */
  [kDecide](key, cost = 1, limit = undefined, guard = NO_GUARD) {
    this.#leave(cost);
    integers[GUARD] = guard;
    if (limit === undefined) decide(key);
    else decideByLimit(key, limit);
    return this.#forMiddleware();
  }

  /**
   * As `kDecide`, but a call that cannot be charged at once waits: a promise then. It rejects where the call is not charged;
   * the guard has not counted a call that waited. `request` is `{ cost, timeout, signal }`, the signal by a function: only
   * a call that waits needs one.
   */
  [kAcquire](key, request, guard = NO_GUARD) {
    this.#leave(request.cost);
    integers[GUARD] = guard;
    acquireForMiddleware(key);
    if (integers[ANSWER] !== REFUSED) return this.#forMiddleware();
    const signal = request.signal();
    if (signal !== undefined) throwIfAborted(signal);
    const { cost, timeout } = request;
    const call = new WaitingCall(this, { cost, timeout, signal }, guard);
    return waitInLine(call, this, key) ?? this.#forMiddleware();
  }

  [kCharge](key, cost) {
    this.#leave(cost);
    acquire(key);
  }

  [kJoin](key, waits, { cost, timeout, guard }) {
    this.#leave(cost);
    integers[GUARD] = guard ?? NO_GUARD;
    return native.join(key, waits, timeout, guard === undefined ? COUNTED : UNCOUNTED);
  }

  /** The decision of a call that waited, as native code left it. */
  [kWaited](answers, at, isForMiddleware) {
    const generation = answers[at + WAIT_ANSWER.GENERATION];
    const decision = readWaitedDecision(answers, at, this.#policies.namesOf(generation));
    if (!isForMiddleware) return decision;
    decision.moreAfterMs = answers[at + WAIT_ANSWER.MORE_AFTER];
    this.#receipts.set(decision, readWaitedReceipt(answers, at));
    this.#policies.follow(generation);
    return decision;
  }

  /** What `kUndo` needs to take the last decision back. */
  [kReceipt](key, cost, decision) {
    if (this.#fleet !== null) return { key, cost, charge: this.#fleet.receiptOf(decision) };
    const waited = this.#receipts.get(decision);
    if (waited !== undefined) return { key, cost, receipt: waited };
    return { key, cost, receipt: numbers.slice(RECEIPT_AT, AFTER_RECEIPT) };
  }

  /** What time has returned since is not returned twice. */
  [kUndo]({ key, cost, receipt, charge }) {
    if (this.#fleet !== null) return this.#fleet.undo(key, cost, charge);
    numbers.set(receipt, RECEIPT_AT);
    native.undoCharge(this.#handle, key, cost);
  }

  /** The policies that decided the last `kDecide`; the same array while they are in force. */
  [kPolicies]() {
    return this.#policies.current;
  }

  /** The limits in force: `{ name, limit, windowMs }` each. */
  [kLimits]() {
    return this.#policies.read();
  }

  [kPolicyNames]() {
    return this.#policies.names;
  }

  /** The decision by what this process holds, and of remembered refusals; undefined where the server has to be asked. */
  #consumeHeld(key, cost) {
    return this.#askHeld(key, cost, NO_GUARD) ? markSource(readDecision(this.#policies.names)) : undefined;
  }

  /** Whether what this process holds decides; the decision is left then. */
  #askHeld(key, cost, guard) {
    this.#leave(cost);
    integers[GUARD] = guard;
    decideHeld(key);
    return integers[ANSWER] !== DONE;
  }

  /** What a call of this process comes to, as a promise: invalid arguments reject. */
  async #soon(call) {
    return call();
  }

  /** The decision that native code has just left, with what only middleware asks for. */
  #forMiddleware() {
    const decision = readForMiddleware(this.#policies.names);
    this.#policies.follow(integers[GENERATION]);
    return decision;
  }

  #checkHere(method) {
    if (this.#fleet !== null) throw notAwaited(method);
  }

  /** Leaves the arguments of a native call. */
  #leave(cost) {
    leaveCost(cost);
    integers[HANDLE] = this.#handle;
  }
}

module.exports = { RateLimiter };
