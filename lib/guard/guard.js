'use strict';

const { writeFamilies } = require('../metrics/exposition');
const { guardFamilies } = require('../metrics/guard-families');
const { NONE } = require('../runtime/none');
const { boolean, checkOptions, owned, parseDuration } = require('../runtime/schema');
const { Adapters } = require('./adapters');
const { AnswerWatch } = require('./answer-watch');
const { Counts } = require('./counts');
const { Decider } = require('./decider');
const { checkByHand, isReply } = require('./fastify-check');
const { GuardDecision } = require('./guard-decision');
const { guardOptions, routeOptions } = require('./guard-options');
const { openParts } = require('./guard-parts');
const { guardStats } = require('./guard-stats');
const { kResponse } = require('./guarded-servers');
const { checkRequest, checkResponse, incomingOf } = require('./incoming');
const { followOptions, kFollow, remember } = require('./reconfigured-guards');
const { Recorder } = require('./recorder');
const { RequestClient, UNKNOWN } = require('./request-client');
const { Rule, plainRuleOf } = require('./rule');
const { SharedOptions } = require('./shared-options');
const { after } = require('./user-function');

const DEFAULT_SHUTDOWN_TIMEOUT = '10s';
const SHUTDOWN = { timeout: (value, option) => parseDuration(value, option, { least: 0 }) };
const RECORD = { weight: (value) => value };
const METRICS = { comments: boolean };

/**
 * Stands before a server: decides on requests and says what to answer to refused ones. Adapters send the answers.
 *
 * Its parts are named instances, shared by all threads that use the same names, as are its counts; the servers that it
 * is attached to belong to its thread. An internal error lets the request pass, and is counted.
 */
class Guard {
  #owner;
  #options;
  #shared;
  #counts = new Counts();
  /** See `openParts`. */
  #parts;
  #decider;
  #answers;
  #rule;
  #plainRule;
  #adapters = new Adapters(this);

  /** `owner` is what error messages call the caller: the adapter's name. */
  constructor(owner, options) {
    this.#owner = owner;
    this.#shared = new SharedOptions(owner, guardOptions(owner, options));
    this.#options = this.#shared.options;
    this.#parts = openParts(owner, this.#options, this.#counts);
    this.#decider = new Decider(this.#parts, this.#options);
    this.#answers = new AnswerWatch(this.#parts, this.#newRecorder(), this.#options);
    this.#rule = new Rule(this.#parts.limited, this.#options);
    this.#counts.open(this.#shared.open(), this.#options.name);
    remember(this);
    // This construction may have changed the options of other guards.
    if (this.#options.onMismatch === 'reconfigure') followOptions();
  }

  get name() {
    return this.#options.name;
  }

  /** The limiter of every route without one of its own; null when `rateLimit` is false. */
  get limiter() {
    return this.#rule.limiter;
  }

  get tracker() {
    return this.#parts.connections?.tracker ?? null;
  }

  get reputation() {
    return this.#parts.bans?.reputation ?? null;
  }

  get monitor() {
    return this.#parts.monitor;
  }

  get shedder() {
    return this.#parts.overload?.shedder ?? null;
  }

  /** The rule of requests whose route has none of its own. */
  get rule() {
    return this.#rule;
  }

  /** The guard's rule without functions of the user. */
  get plainRule() {
    this.#plainRule ??= plainRuleOf(this.#parts.limited, this.#options);
    return this.#plainRule;
  }

  /** A route's own rule. What `options` leave out is the guard's, its limiter included. */
  routeRule(limiterName, options) {
    const own = routeOptions(this.#owner, options);
    const { rates, limited: guarded } = this.#parts;
    const limited = own.rateLimit === undefined ? guarded : rates.limited(limiterName, own.rateLimit);
    this.#decider.ranks(own.priority);
    return new Rule(limited, owned(this.#options, own));
  }

  /** Decides on the server's connections at accept from now on. Idempotent. */
  attach(server) {
    this.#parts.serverGate.attach(server);
    return this;
  }

  /**
   * Decides on a request of Node, Express or Fastify, and charges it. `res` is where its answer is seen; requests of an
   * attached server know theirs. Returns a promise where a function of the user returned one, a server keeps the counts, or
   * the request waits. With Fastify's reply it writes the headers and returns a promise.
   */
  check(req, res) {
    checkRequest(req);
    if (res !== undefined) checkResponse(res);
    const response = res ?? req[kResponse];
    if (isReply(response)) return checkByHand(this, req, response);
    const incoming = incomingOf(req);
    return after(this.decide(req, incoming), (decision) => {
      if (response !== undefined) this.watch(decision, incoming, response);
      else this.#answers.doNotWatch(decision, incoming);
      return decision;
    });
  }

  /**
   * Decides about the ban first, then the connection, the load, the rate, and the requests in progress. `request` is what
   * the user's functions are given, `incoming` Node's request behind it. A promise where `check` returns one.
   */
  decide(request, incoming = request, rule = this.#rule) {
    return this.#decider.decide(request, incoming, rule);
  }

  /** For middleware: a refused client need not send the body of its request. */
  continueLate() {
    this.#parts.admission.continueLate();
  }

  /** The refusal of a request for its client's ban or its connection; null where its rate is to be decided. */
  admit(incoming, rule) {
    return this.#decider.admit(incoming, rule);
  }

  /** As `admit`, also for the load of this thread. */
  admitRequest(request, incoming, rule) {
    return this.#decider.admitRequest(request, incoming, rule);
  }

  /** Decides on the rate of a request that was admitted. */
  decideRate(request, incoming, rule) {
    return this.#decider.decideRate(request, incoming, rule);
  }

  /** The address that failures and bans of a request are for; `undefined` for a trusted proxy, or without an address. */
  judgedOf(incoming) {
    return this.#parts.admission.judgedOf(incoming);
  }

  /** The refusal of an open connection whose client is banned; null where it is not. `incoming` is its request. */
  banOf(incoming) {
    return this.#parts.bans === null ? null : this.#parts.admission.banOf(incoming);
  }

  /** Refuses a request for its session, which a tracker has refused. null where the request passes nevertheless. */
  refuseSession(incoming, refused) {
    const refusal = this.#parts.admission.refuseSession(incoming, refused);
    if (refusal === null) return null;
    const { client } = this.#parts.admission.see(incoming) ?? UNKNOWN;
    return GuardDecision.refused({ client, rule: this.#rule, refusal, decision: null });
  }

  /** What `run()` returns; null after an internal error, which is counted. */
  attempt(run) {
    try {
      return run();
    } catch (error) {
      return this.#counts.fault(error);
    }
  }

  /** As `attempt`, of what `run()` resolves to. */
  async attemptAsync(run) {
    try {
      return await run();
    } catch (error) {
      return this.#counts.fault(error);
    }
  }

  /** The client that the guard sees behind a request: `{ address, key }`. */
  clientOf(req) {
    checkRequest(req);
    return this.#parts.admission.clientOf(incomingOf(req));
  }

  /**
   * Watches for the answer to a request that was decided on. `response` is Node's. The answer to a refused request is
   * prepared here, so this is called before its headers are written. `isWatched`: `watchAnswer` was called before.
   */
  watch(decision, incoming, response, { isWatched = false } = NONE) {
    this.#answers.watch(decision, incoming, response, isWatched);
  }

  /** Records what the answer to a request means, whatever is decided about the request. */
  watchAnswer(incoming, response) {
    this.#answers.watchAnswer(incoming, response);
  }

  /** Records an event of the application's own, such as a wrong password, for a request's client. */
  record(req, event, detail, options = {}) {
    checkRequest(req);
    const { weight = 1 } = checkOptions('record', options, RECORD);
    this.#answers.record(incomingOf(req), { event, detail, weight });
  }

  /**
   * Writes the headers of a decision onto what has `header(name, value)` and `getHeader(name)`. `follows`: another guard
   * has decided about the request before; `names` are the fields' names.
   */
  writeHeaders(decision, response, how) {
    try {
      decision.writeHeaders(response, how);
    } catch (error) {
      this.#counts.fault(error);
    }
  }

  express() {
    return this.#adapters.express;
  }

  koa() {
    return this.#adapters.koa;
  }

  hono() {
    return this.#adapters.hono;
  }

  http() {
    return this.#adapters.http;
  }

  get fastify() {
    return this.#adapters.fastify;
  }

  stats() {
    return guardStats(this.#counts, {
      limiters: this.#parts.rates.limiters,
      limiter: this.limiter,
      tracker: this.tracker,
      reputation: this.reputation,
      monitor: this.monitor,
      semaphores: this.#parts.semaphores,
      shedder: this.shedder,
    });
  }

  metrics(options = {}) {
    const { comments = true } = checkOptions('metrics', options, METRICS);
    return writeFamilies(guardFamilies(this, this.stats(), this.#parts.semaphores), { comments });
  }

  /** Closes the servers of this thread. Pending requests are decided as before. */
  shutdown(options = {}) {
    const { timeout = parseDuration(DEFAULT_SHUTDOWN_TIMEOUT) } = checkOptions('shutdown', options, SHUTDOWN);
    return this.#parts.serverGate.close(timeout);
  }

  dashboard(options) {
    return require('../dashboard/guard-dashboard').dashboardOf(this, options);
  }

  /** Takes over the options that another construction has changed for all guards of the name. */
  [kFollow]() {
    const changed = this.#shared.changed();
    if (changed === undefined) return;
    this.#options = owned(this.#options, changed);
    this.#parts.admission.findBy(new RequestClient(this.#options));
    this.#answers.recorder = this.#newRecorder();
    this.#parts.serverGate.trust(changed.trustedProxies);
  }

  #newRecorder() {
    return new Recorder({
      reputation: this.reputation,
      monitor: this.monitor,
      entries: this.#options.record,
      counts: this.#counts,
    });
  }
}

module.exports = { Guard };
