'use strict';

const { isOwnRequest } = require('../dashboard/own-requests');
const { boolean, checkOptions, owned, parseDuration } = require('../runtime/schema');
const { Admission } = require('./admission');
const { beforeAnswer, releaseAtEnd, reportAnswer } = require('./answer');
const { Cors } = require('./cors');
const { Counts } = require('./counts');
const { expressMiddleware } = require('./express-middleware');
const { checkByHand, isReply } = require('./fastify-check');
const { GuardDecision } = require('./guard-decision');
const { writeFamilies } = require('../metrics/exposition');
const { guardFamilies } = require('../metrics/guard-families');
const { guardOptions, routeOptions } = require('./guard-options');
const { openParts } = require('./guard-parts');
const { guardStats } = require('./guard-stats');
const { checkRequest, checkResponse, incomingOf } = require('./incoming');
const { RateGate } = require('./rate-gate');
const { followOptions, kFollow, remember } = require('./reconfigured-guards');
const { policyOnceFor } = require('./policy-once');
const { priorityOf, ranksRequests } = require('./priority');
const { Recorder, markLogin } = require('./recorder');
const { prepareRefusal } = require('./refused-answer');
const { RequestClient, UNKNOWN } = require('./request-client');
const { Rule, plainRuleOf } = require('./rule');
const { ServerGate } = require('./server-gate');
const { kResponse } = require('./guarded-servers');
const { SharedOptions } = require('./shared-options');
const { after } = require('./user-function');
const { measured, time } = require('../runtime/measured');
const { native } = require('../runtime/native');
const { NONE } = require('../runtime/none');

const DEFAULT_SHUTDOWN_TIMEOUT = '10s';
const SHUTDOWN = { timeout: (value, option) => parseDuration(value, option, { least: 0 }) };
const RECORD = { weight: (value) => value };
const METRICS = { comments: boolean };
const NO_SEMAPHORES = { max: null, maxPerClient: null };

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
  /** null without `cors`. */
  #cors;
  /** null without `connections`, as the next three without their options. */
  #connections;
  #bans;
  #concurrency;
  #overload;
  #monitor;
  #recorder;
  #serverGate;
  #admission;
  /** Whether more than the rate depends on the client. */
  #needsClient;
  /** Whether a decision on the rate is completed by `concurrency`, `cors` or `policyHeader`. */
  #completes;
  #showsPolicyOnce;
  /** Whether the guard or one of its routes has a priority, so that requests are not alike. */
  #ranksRequests;
  #rates;
  #limited;
  #rule;
  #plainRule;
  /** Middleware and plugins by their framework. Each is loaded only where it is used. */
  #adapters = new Map();

  /** `owner` is what error messages call the caller: the adapter's name. */
  constructor(owner, options) {
    this.#owner = owner;
    this.#shared = new SharedOptions(owner, guardOptions(owner, options));
    this.#options = this.#shared.options;
    const { cors, headers, policyHeader } = this.#options;
    this.#cors = cors === undefined ? null : new Cors(cors, headers);
    this.#showsPolicyOnce = policyHeader !== 'always';
    this.#ranksRequests = ranksRequests(this.#options.priority);
    this.#openParts();
    this.#completes = this.#cors !== null || this.#showsPolicyOnce || this.#concurrency !== null;
    this.#openRates();
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
    return this.#connections?.tracker ?? null;
  }

  get reputation() {
    return this.#bans?.reputation ?? null;
  }

  get monitor() {
    return this.#monitor;
  }

  get shedder() {
    return this.#overload?.shedder ?? null;
  }

  /** The rule of requests whose route has none of its own. */
  get rule() {
    return this.#rule;
  }

  /** The guard's rule without functions of the user. */
  get plainRule() {
    this.#plainRule ??= plainRuleOf(this.#limited, this.#options);
    return this.#plainRule;
  }

  /** A route's own rule. What `options` leave out is the guard's, its limiter included. */
  routeRule(limiterName, options) {
    const own = routeOptions(this.#owner, options);
    const limited =
      own.rateLimit === undefined ? this.#limited : this.#rates.limited(limiterName, own.rateLimit);
    this.#ranksRequests ||= ranksRequests(own.priority);
    return new Rule(limited, owned(this.#options, own));
  }

  /** Decides on the server's connections at accept from now on. Idempotent. */
  attach(server) {
    this.#serverGate.attach(server);
    return this;
  }

  /**
   * Decides on a request of Node, Express or Fastify, and charges it. `res` is where its answer is seen; requests of an
   * attached server know theirs. Returns a promise where a function of the user returned one, or a server keeps the counts. With Fastify's reply it
   * writes the headers and returns a promise.
   */
  check(req, res) {
    checkRequest(req);
    if (res !== undefined) checkResponse(res);
    const response = res ?? req[kResponse];
    if (isReply(response)) return checkByHand(this, req, response);
    const incoming = incomingOf(req);
    return after(this.decide(req, incoming), (decision) => {
      if (response !== undefined) this.watch(decision, incoming, response);
      else this.#doNotWatch(decision, incoming);
      return decision;
    });
  }

  /**
   * Decides about the ban first, then the connection, the load, the rate, and the requests in progress. `request` is what the
   * user's functions are given,
   * `incoming` Node's request behind it.
   */
  decide(request, incoming = request, rule = this.#rule) {
    if (isOwnRequest(incoming)) return this.#leaveAlone(incoming);
    return measured.decisions
      ? this.#measure(() => this.#decide(request, incoming, rule))
      : this.#decide(request, incoming, rule);
  }

  /** The refusal of a request for its client's ban or its connection; null where its rate is to be decided. */
  admit(incoming, rule) {
    if (isOwnRequest(incoming)) return null;
    const seen = this.#seeFor(incoming, rule);
    return seen === null ? null : this.#admit(incoming, rule, seen);
  }

  /** As `admit`, also for the load of this thread. */
  admitRequest(request, incoming, rule) {
    if (isOwnRequest(incoming)) return null;
    const seen = this.#seeFor(incoming, rule);
    if (seen === null) return null;
    return this.#admit(incoming, rule, seen) ?? this.#shed(request, incoming, rule, seen);
  }

  /** Decides on the rate of a request that was admitted. */
  decideRate(request, incoming, rule) {
    if (isOwnRequest(incoming)) return this.#leaveAlone(incoming);
    const seen = this.#seeFor(incoming, rule);
    if (seen === null) return GuardDecision.undecided('fault', UNKNOWN.client);
    return measured.decisions
      ? this.#measure(() => this.#decideRate(request, incoming, rule, seen))
      : this.#decideRate(request, incoming, rule, seen);
  }

  /** The address that failures and bans of a request are for; `undefined` for a trusted proxy, or without an address. */
  judgedOf(incoming) {
    return this.#admission.judgedOf(incoming);
  }

  /** The refusal of an open connection whose client is banned; null where it is not. `incoming` is its request. */
  banOf(incoming) {
    return this.#bans === null ? null : this.#admission.banOf(incoming);
  }

  /** Refuses a request for its session, which a tracker has refused. null where the request passes nevertheless. */
  refuseSession(incoming, refused) {
    const refusal = this.#admission.refuseSession(incoming, refused);
    if (refusal === null) return null;
    const { client } = this.#admission.see(incoming) ?? UNKNOWN;
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

  /** The client that the guard sees behind a request: `{ address, key }`. */
  clientOf(req) {
    checkRequest(req);
    return this.#admission.clientOf(incomingOf(req));
  }

  /**
   * Watches for the answer to a request that was decided on. `response` is Node's. The answer to a refused request is
   * prepared here, so this is called before its headers are written. `isWatched`: `watchAnswer` was called before.
   */
  watch(decision, incoming, response, { isWatched = false } = NONE) {
    if (!decision.allowed) this.#prepareRefusal(incoming, response);
    if (decision.awaitsAnswer) reportAnswer(response, decision);
    if (decision.hasPlaces) releaseAtEnd(response, decision);
    if (!isWatched && decision.refusal?.reason !== 'ban') this.watchAnswer(incoming, response);
  }

  /** Records what the answer to a request means, whatever is decided about the request. */
  watchAnswer(incoming, response) {
    if (!this.#recorder.recordsAnswers || isOwnRequest(incoming)) return;
    const address = this.#admission.judgedOf(incoming);
    beforeAnswer(response, (status) => this.#recorder.answered(incoming, address, status));
  }

  /** Records an event of the application's own, such as a wrong password, for a request's client. */
  record(req, event, detail, options = {}) {
    checkRequest(req);
    const { weight = 1 } = checkOptions('record', options, RECORD);
    const incoming = incomingOf(req);
    this.#recorder.record(incoming, this.#admission.judgedOf(incoming), { event, detail, weight });
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
    return this.#adapted('express', () => expressMiddleware(this));
  }

  koa() {
    return this.#adapted('koa', () => require('./koa-middleware').koaMiddleware(this));
  }

  hono() {
    return this.#adapted('hono', () => require('./hono-middleware').honoMiddleware(this));
  }

  http() {
    return this.#adapted('http', () => require('./http-listener').httpListener(this));
  }

  get fastify() {
    return this.#adapted('fastify', () => require('./fastify-plugin').pluginOf(() => this));
  }

  stats() {
    return guardStats(this.#counts, {
      limiters: this.#rates.limiters,
      limiter: this.limiter,
      tracker: this.tracker,
      reputation: this.reputation,
      monitor: this.monitor,
      semaphores: this.#semaphores,
      shedder: this.shedder,
    });
  }

  metrics(options = {}) {
    const { comments = true } = checkOptions('metrics', options, METRICS);
    return writeFamilies(guardFamilies(this, this.stats(), this.#semaphores), { comments });
  }

  /** Closes the servers of this thread. Pending requests are decided as before. */
  shutdown(options = {}) {
    const { timeout = parseDuration(DEFAULT_SHUTDOWN_TIMEOUT) } = checkOptions('shutdown', options, SHUTDOWN);
    return this.#serverGate.close(timeout);
  }

  dashboard(options) {
    return require('../dashboard/guard-dashboard').dashboardOf(this, options);
  }

  /** Takes over the options that another construction has changed for all guards of the name. */
  [kFollow]() {
    const changed = this.#shared.changed();
    if (changed === undefined) return;
    this.#options = owned(this.#options, changed);
    this.#admission.findBy(new RequestClient(this.#options));
    this.#recorder = this.#newRecorder();
    this.#serverGate.trust(changed.trustedProxies);
  }

  get #semaphores() {
    return this.#concurrency?.semaphores ?? NO_SEMAPHORES;
  }

  #adapted(framework, make) {
    if (!this.#adapters.has(framework)) this.#adapters.set(framework, make());
    return this.#adapters.get(framework);
  }

  #openParts() {
    const { dryRun, countOnly } = this.#options;
    const client = new RequestClient(this.#options);
    const parts = openParts(this.#options, client, this.#counts);
    const { connections, bans, concurrency, monitor, overload } = parts;
    this.#connections = connections;
    this.#bans = bans;
    this.#concurrency = concurrency;
    this.#overload = overload;
    this.#monitor = monitor;
    this.#recorder = this.#newRecorder();
    this.#needsClient = [bans, monitor, connections, concurrency].some((part) => part !== null);
    // What is recorded of answers may change later.
    const readsAnswers = bans !== null || monitor !== null || countOnly !== undefined;
    const counts = this.#counts;
    this.#serverGate = new ServerGate({ bans, connections, counts, options: this.#options, readsAnswers });
    this.#admission = new Admission({
      client,
      bans,
      connections,
      serverGate: this.#serverGate,
      counts,
      dryRun,
    });
  }

  #openRates() {
    const { name, rateLimit, dryRun, onMismatch, scope } = this.#options;
    const countsAllowed = this.#concurrency === null;
    this.#rates = new RateGate(this.#owner, {
      dryRun,
      counts: this.#counts,
      onMismatch,
      scope,
      countsAllowed,
    });
    this.#limited = this.#rates.limited(name, rateLimit);
    this.#rule = new Rule(this.#limited, this.#options);
  }

  #newRecorder() {
    return new Recorder({
      reputation: this.reputation,
      monitor: this.#monitor,
      entries: this.#options.record,
      counts: this.#counts,
    });
  }

  #decide(request, incoming, rule) {
    const seen = this.#seeFor(incoming, rule);
    if (seen === null) return GuardDecision.undecided('fault', UNKNOWN.client);
    const refused = this.#admit(incoming, rule, seen) ?? this.#shed(request, incoming, rule, seen);
    return refused ?? this.#decideRate(request, incoming, rule, seen);
  }

  /** What `decide()` returns, or resolves to; adds how long that took, unless the request has waited for its moment. */
  #measure(decide) {
    const started = time();
    return after(decide(), (decision) => {
      if (!decision.hasWaited) native.addGuardDecision(this.#counts.handle, time() - started);
      return decision;
    });
  }

  /** A request of a dashboard is neither charged nor counted. */
  #leaveAlone(incoming) {
    return GuardDecision.undecided('skipped', this.#admission.clientOf(incoming));
  }

  #seeFor(incoming, rule) {
    return this.#admission.see(incoming, rule.needsClient || this.#needsClient);
  }

  #admit(incoming, rule, seen) {
    if (rule.login) markLogin(incoming);
    return this.#refused(incoming, rule, seen, this.#admission.refusal(incoming, seen));
  }

  /** The refusal of a request that this thread cannot take on; null where it can. */
  #shed(request, incoming, rule, seen) {
    if (this.#overload === null) return null;
    return this.#refused(incoming, rule, seen, this.#overload.refusal(request, incoming, rule, seen.client));
  }

  #refused(incoming, rule, seen, refusal) {
    if (refusal === null) return null;
    const refused = GuardDecision.refused({ client: seen.client, rule, refusal, decision: null });
    return this.#complete(incoming, refused);
  }

  #decideRate(request, incoming, rule, seen) {
    const { client, judged } = seen;
    const priority = this.#priorityAmongBusy(request, incoming, rule);
    const enter = (made) => this.#complete(incoming, this.#enter(made, { incoming, rule, judged }, priority));
    if (rule.limiter !== null) {
      const decision = this.#rates.decide(request, incoming, rule, client);
      return this.#completes ? after(decision, enter) : decision;
    }
    const unlimited = GuardDecision.undecided('allowed', client);
    if (this.#concurrency !== null) return enter(unlimited);
    this.#counts.allowed();
    return unlimited;
  }

  /** Asked before the request is charged, as a function may throw. `undefined` where all requests are alike. */
  #priorityAmongBusy(request, incoming, rule) {
    if (this.#concurrency === null || !(this.#ranksRequests || rule.isExempt)) return undefined;
    return priorityOf(rule.priority, request, incoming);
  }

  /** Takes a place among the requests in progress; the decision that refuses the request where there is none. */
  #enter(decision, request, priority) {
    return this.#concurrency === null ? decision : this.#concurrency.enter(decision, request, priority);
  }

  /** The answer to a request is not seen. */
  #doNotWatch(decision, incoming) {
    decision.releasePlaces();
    if (!decision.allowed) this.#prepareRefusal(incoming, undefined);
  }

  /** The decision; a refusal can be read by the origins that `cors` allows. */
  #complete(incoming, decision) {
    if (this.#cors !== null) decision.refusal?.allowOrigin(this.#cors, incoming);
    if (this.#showsPolicyOnce) decision.showPolicy(policyOnceFor(incoming));
    return decision;
  }

  #prepareRefusal(incoming, response) {
    try {
      prepareRefusal(incoming, response, this.#options.refusedBody);
    } catch (error) {
      this.#counts.fault(error);
    }
  }
}

module.exports = { Guard };
