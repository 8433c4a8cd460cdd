'use strict';

const { checkOptions, owned, parseDuration } = require('../options');
const { SecurityMonitor } = require('../security-monitor');
const { beforeAnswer, tellAnswer } = require('./answer');
const { BanGate } = require('./ban-gate');
const { ConnectionGate } = require('./connection-gate');
const { Counts } = require('./counts');
const { Door, kResponse } = require('./door');
const { expressMiddleware } = require('./express-middleware');
const { GuardDecision } = require('./guard-decision');
const { exposition } = require('./guard-metrics');
const { guardOptions, routeOptions } = require('./guard-options');
const { guardStats } = require('./guard-stats');
const { RateGate } = require('./rate-gate');
const { Recorder } = require('./recorder');
const { connectionsExhausted } = require('./refusal');
const { RequestClient } = require('./request-client');
const { Rule } = require('./rule');
const { SharedOptions } = require('./shared-options');
const { after } = require('./user-function');

const PASSED = Object.freeze(new GuardDecision('allowed'));

const DEFAULT_SHUTDOWN_TIMEOUT = '10s';
const SHUTDOWN = { timeout: (value, option) => parseDuration(value, option, { least: 0 }) };
const RECORD = { weight: (value) => value };

/**
 * What stands before a server: it decides on requests and says what to send; sending is the adapter's part.
 *
 * Its parts are named instances, shared by all threads that use the same names, as are its counts; the servers
 * that it is attached to belong to its thread. A fault of ours keeps no request from being served: it passes and
 * counts.
 */
class Guard {
  #owner;
  #options;
  #counts = new Counts();
  #client;
  /** null without `connections`, as the next two without their options. */
  #connections;
  #bans;
  #monitor;
  #recorder;
  #rates;
  #limited;
  #rule;
  #door;
  #middleware;
  #plugin;
  #shutdown;

  /** `owner` is how error messages call the caller: the adapter's name. */
  constructor(owner, options) {
    this.#owner = owner;
    const shared = new SharedOptions(owner, guardOptions(owner, options));
    this.#options = shared.options;
    this.#client = new RequestClient(this.#options.trustedProxies);
    this.#makeGates();
    this.#makeRules();
    this.#counts.open(shared.open());
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

  /** The rule of requests whose route has none of its own. */
  get rule() {
    return this.#rule;
  }

  /** A route's own rule. What `options` leave out is the guard's, its limiter included. */
  routeRule(limiterName, options) {
    const own = routeOptions(this.#owner, options);
    const limited =
      own.rateLimit === undefined ? this.#limited : this.#rates.limited(limiterName, own.rateLimit);
    return new Rule(limited, owned(this.#options, own));
  }

  /** From now on the server's connections are judged at their accept. Idempotent. */
  attach(server) {
    if (this.#door.isAttached(server)) return this;
    this.#connections?.attach(server);
    // Whoever attaches later hears of a socket earlier: bans come before caps.
    this.#door.attach(server);
    return this;
  }

  /**
   * Decides on a request of Node's, of Express or of Fastify, and charges it. `res` is where its answer is seen;
   * the requests of an attached server know it. A promise where a function of the user's gave one.
   */
  check(req, res = req[kResponse]) {
    const incoming = incomingOf(req);
    return after(this.decide(req, incoming), (decision) => {
      if (res !== undefined) this.watch(decision, incoming, res);
      return decision;
    });
  }

  /**
   * The ban first, then the connection, then the rate. `request` is what the user's functions are given,
   * `incoming` Node's request behind it.
   */
  decide(request, incoming = request, rule = this.#rule) {
    const refusal = this.#refusal(incoming);
    if (refusal !== null) return new GuardDecision('refused', { rule, refusal, decision: null, undo: null });
    if (rule.limiter !== null) return this.#rates.decide(request, incoming, rule);
    this.#counts.allowed();
    return PASSED;
  }

  /** Learns what becomes of a request that was decided on: `response` is Node's. */
  watch(decision, incoming, response) {
    if (decision.awaitsAnswer) tellAnswer(response, decision);
    if (this.#recorder.hearsAnswers && decision.refusal?.reason !== 'ban') this.#hear(incoming, response);
  }

  /** Tells reputation and monitor what the application knows of a request's client, a wrong password say. */
  record(req, event, detail, options = {}) {
    const { weight = 1 } = checkOptions('record', options, RECORD);
    const incoming = incomingOf(req);
    this.#recorder.record(incoming, this.#addressOf(incoming), { event, detail, weight });
  }

  /**
   * Writes what the client is to know onto what has `header(name, value)` and `getHeader(name)`. `follows`
   * says that another guard has decided about the request before; `names` are the fields'.
   */
  writeHeaders(decision, response, how) {
    try {
      decision.writeHeaders(response, how);
    } catch (error) {
      this.#counts.fault(error);
    }
  }

  express() {
    this.#middleware ??= expressMiddleware(this);
    return this.#middleware;
  }

  get fastify() {
    // Loaded by those who use it only.
    this.#plugin ??= require('./fastify-plugin').pluginOf(() => this);
    return this.#plugin;
  }

  stats() {
    return guardStats(this.#counts, {
      limiters: this.#rates.limiters,
      limiter: this.limiter,
      tracker: this.tracker,
      reputation: this.reputation,
      monitor: this.monitor,
    });
  }

  metrics() {
    return exposition(this, this.stats());
  }

  /** Ends the servers of this thread. Requests on their way are decided as before. */
  shutdown(options = {}) {
    const { timeout = parseDuration(DEFAULT_SHUTDOWN_TIMEOUT) } = checkOptions('shutdown', options, SHUTDOWN);
    this.#shutdown ??= this.#door.close(timeout).then((forced) => ({ drained: forced === 0, forced }));
    return this.#shutdown;
  }

  #makeGates() {
    const { name, connections, reputation, trustedProxies, dryRun } = this.#options;
    this.#connections =
      connections === false
        ? null
        : new ConnectionGate(name, connections, { trustedProxies, observes: dryRun });
    this.#bans = reputation === false ? null : new BanGate(name, reputation, this.#client);
    this.#monitor = this.#openMonitor();
    this.#recorder = new Recorder({
      reputation: this.reputation,
      monitor: this.#monitor,
      entries: this.#options.record,
      counts: this.#counts,
    });
    this.#door = new Door({
      refuses: (socket) => (dryRun ? null : (this.#bans?.refusesSocket(socket) ?? null)),
      onRefused: () => this.#refusedAtAccept(),
      onFault: (error) => this.#counts.fault(error),
      hears: this.#bans !== null || this.#recorder.hearsAnswers || this.#options.countOnly !== undefined,
    });
  }

  #makeRules() {
    const { name, rateLimit, dryRun } = this.#options;
    this.#rates = new RateGate(this.#owner, { dryRun, client: this.#client, counts: this.#counts });
    this.#limited = this.#rates.limited(name, rateLimit);
    this.#rule = new Rule(this.#limited, this.#options);
  }

  /** Its rules ban in the guard's reputation, unless they were told another. */
  #openMonitor() {
    const { name, monitor } = this.#options;
    if (monitor === false) return null;
    if (typeof monitor === 'string') return new SecurityMonitor(monitor);
    const bans = Array.isArray(monitor.rules) && monitor.rules.some((rule) => rule?.action === 'ban');
    if (!bans || this.#bans === null) return new SecurityMonitor(name, monitor);
    return new SecurityMonitor(name, owned({ reputation: this.reputation.name }, monitor));
  }

  /** Why a request goes no further, before its rate is looked at; null when it does. */
  #refusal(incoming) {
    if (this.#bans === null && this.#connections === null) return null;
    try {
      this.#meet(incoming.socket.server);
      const ban = this.#bans?.refuses(incoming) ?? null;
      if (ban !== null) return this.#counted(ban, 'refusedByBan');
      const cap = this.#connections?.refuses(incoming) ?? null;
      return cap === null ? null : this.#counted(connectionsExhausted(cap), 'refusedByConnections');
    } catch (error) {
      return this.#counts.fault(error);
    }
  }

  /** Express does not know its server. Injected requests have none. */
  #meet(server) {
    if (server !== undefined && server !== null && !this.#door.isAttached(server)) this.attach(server);
  }

  /** null where it is only told. */
  #counted(refusal, counter) {
    this.#counts.count(this.#options.dryRun ? 'dryRefused' : counter);
    return this.#options.dryRun ? null : refusal;
  }

  /** Records what the answer will say. */
  #hear(incoming, response) {
    const address = this.#addressOf(incoming);
    beforeAnswer(response, (status) => this.#recorder.answered(incoming, address, status));
  }

  #refusedAtAccept() {
    this.#counts.count('refusedAtAccept');
    try {
      this.#connections?.countBanned();
    } catch (error) {
      this.#counts.fault(error);
    }
  }

  /** `undefined` for a socket without one, and after a fault. */
  #addressOf(incoming) {
    try {
      return this.#client.addressOf(incoming);
    } catch (error) {
      this.#counts.fault(error);
      return undefined;
    }
  }
}

/** Node's request behind Fastify's; Express's is Node's own. */
function incomingOf(req) {
  return req.raw ?? req;
}

module.exports = { Guard };
