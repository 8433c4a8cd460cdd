'use strict';

const { native, onProcess } = require('../runtime/native');
const { boolean, checkOptions, owned, parseDuration } = require('../runtime/schema');
const { SecurityMonitor } = require('../security-monitor');
const { beforeAnswer, tellAnswer } = require('./answer');
const { BanGate } = require('./ban-gate');
const { ConnectionGate } = require('./connection-gate');
const { Cors } = require('./cors');
const { Counts } = require('./counts');
const { GuardedServers, kResponse } = require('./guarded-servers');
const { expressMiddleware } = require('./express-middleware');
const { checkByHand, isReply } = require('./fastify-check');
const { GuardDecision } = require('./guard-decision');
const { exposition } = require('./guard-metrics');
const { guardOptions, routeOptions } = require('./guard-options');
const { guardStats } = require('./guard-stats');
const { RateGate } = require('./rate-gate');
const { Recorder, markLogin } = require('./recorder');
const { destroyConnectionOf, hasLostAddress, remoteAddressOf } = require('../http/remote-address');
const { addressLost, connectionsExhausted } = require('./refusal');
const { prepareRefusal } = require('./refused-answer');
const { LOST, RequestClient, UNKNOWN } = require('./request-client');
const { Rule } = require('./rule');
const { SharedOptions } = require('./shared-options');
const { after } = require('./user-function');

const kFollow = Symbol('sluice.followOptions');

const DEFAULT_SHUTDOWN_TIMEOUT = '10s';
const SHUTDOWN = { timeout: (value, option) => parseDuration(value, option, { least: 0 }) };
const RECORD = { weight: (value) => value };
const METRICS = { comments: boolean };

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
  /** Whether anything but the rate depends on the client. */
  #judges;
  /** null without `connections`, as the next two without their options. */
  #connections;
  #bans;
  #monitor;
  #recorder;
  #rates;
  #limited;
  #rule;
  #plainRule;
  /** null without `cors`. */
  #cors;
  #servers;
  #middleware;
  #plugin;
  #shutdown;
  #shutdownResets;
  #shared;

  /** `owner` is how error messages call the caller: the adapter's name. */
  constructor(owner, options) {
    this.#owner = owner;
    this.#shared = new SharedOptions(owner, guardOptions(owner, options));
    this.#options = this.#shared.options;
    this.#cors =
      this.#options.cors === undefined ? null : new Cors(this.#options.cors, this.#options.headers);
    this.#client = new RequestClient(this.#options);
    this.#makeGates();
    this.#makeRules();
    this.#counts.open(this.#shared.open());
    remember(this);
    // This construction may have changed the options of others.
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
    if (this.#servers.isAttached(server)) return this;
    this.#connections?.attach(server);
    this.#servers.attach(server);
    return this;
  }

  /**
   * Decides on a request of Node's, of Express or of Fastify, and charges it. `res` is where its answer is seen;
   * the requests of an attached server know it. A promise where a function of the user's gave one. With Fastify's reply
   * its headers are written, and it is a promise.
   */
  check(req, res = req[kResponse]) {
    if (isReply(res)) return checkByHand(this, req, res);
    const incoming = incomingOf(req);
    return after(this.decide(req, incoming), (decision) => {
      if (res !== undefined) this.watch(decision, incoming, res);
      else if (!decision.allowed) this.#prepareRefusal(incoming, res);
      return decision;
    });
  }

  /**
   * The ban first, then the connection, then the rate. `request` is what the user's functions are given,
   * `incoming` Node's request behind it.
   */
  decide(request, incoming = request, rule = this.#rule) {
    const seen = this.#seeFor(incoming, rule);
    if (seen === null) return GuardDecision.undecided('fault', UNKNOWN.client);
    return this.#admit(incoming, rule, seen) ?? this.#decideRate(request, incoming, rule, seen.client);
  }

  /** The refusal of a request for its client's ban or its connection; null where its rate is to be decided. */
  admit(incoming, rule) {
    const seen = this.#seeFor(incoming, rule);
    return seen === null ? null : this.#admit(incoming, rule, seen);
  }

  /** Decides on the rate of a request that was admitted. */
  decideRate(request, incoming, rule) {
    const seen = this.#seeFor(incoming, rule);
    if (seen === null) return GuardDecision.undecided('fault', UNKNOWN.client);
    return this.#decideRate(request, incoming, rule, seen.client);
  }

  #seeFor(incoming, rule) {
    return this.#see(incoming, rule.needsClient || this.#judges);
  }

  #admit(incoming, rule, seen) {
    if (rule.login) markLogin(incoming);
    const refusal = this.#refusal(incoming, seen);
    if (refusal === null) return null;
    return this.#toldTo(
      incoming,
      GuardDecision.refused({ client: seen.client, rule, refusal, decision: null }),
    );
  }

  #decideRate(request, incoming, rule, client) {
    if (rule.limiter !== null) {
      const decision = this.#rates.decide(request, incoming, rule, client);
      return this.#cors === null ? decision : after(decision, (made) => this.#toldTo(incoming, made));
    }
    this.#counts.allowed();
    return GuardDecision.undecided('allowed', client);
  }

  /** The client that the guard sees behind a request: `{ address, key }`. */
  clientOf(req) {
    return (this.#see(incomingOf(req)) ?? UNKNOWN).client;
  }

  /**
   * Learns what becomes of a request that was decided on: `response` is Node's. The answer to a refused one is prepared, so
   * this comes before its headers are written. `isHeard` says that `watchAnswer` was called before.
   */
  watch(decision, incoming, response, { isHeard = false } = { __proto__: null }) {
    if (!decision.allowed) this.#prepareRefusal(incoming, response);
    if (decision.awaitsAnswer) tellAnswer(response, decision);
    if (!isHeard && decision.refusal?.reason !== 'ban') this.watchAnswer(incoming, response);
  }

  /** Records what the answer to a request says, whatever is decided about it. */
  watchAnswer(incoming, response) {
    if (this.#recorder.hearsAnswers) this.#hear(incoming, response);
  }

  /** The guard's rule without functions of the user; with a limit that is one it has no limiter. */
  get plainRule() {
    const { cost, rateLimit } = this.#options;
    const isByRequest = typeof rateLimit === 'object' && typeof rateLimit.limit === 'function';
    this.#plainRule ??= new Rule(
      isByRequest ? { limiter: null, limit: undefined } : this.#limited,
      owned(this.#options, {
        key: undefined,
        skip: undefined,
        cost: typeof cost === 'function' ? 1 : cost,
      }),
    );
    return this.#plainRule;
  }

  /** Tells reputation and monitor what the application knows of a request's client, a wrong password say. */
  record(req, event, detail, options = {}) {
    const { weight = 1 } = checkOptions('record', options, RECORD);
    const incoming = incomingOf(req);
    this.#recorder.record(incoming, this.#judgedOf(incoming), { event, detail, weight });
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

  metrics(options = {}) {
    const { comments = true } = checkOptions('metrics', options, METRICS);
    return exposition([{ guard: this, stats: this.stats() }], { comments });
  }

  /** Another construction may have changed the options that all guards of the name share. */
  [kFollow]() {
    const changed = this.#shared.changed();
    if (changed === undefined) return;
    this.#options = owned(this.#options, changed);
    this.#client = new RequestClient(this.#options);
    this.#recorder = this.#makeRecorder();
    if (this.#bans !== null) this.#bans.client = this.#client;
    this.#connections?.trust(changed.trustedProxies);
    for (const server of this.#servers.servers) this.#connections?.attach(server);
  }

  /** Ends the servers of this thread. Requests on their way are decided as before. */
  shutdown(options = {}) {
    const { timeout = parseDuration(DEFAULT_SHUTDOWN_TIMEOUT) } = checkOptions('shutdown', options, SHUTDOWN);
    // What was shut down before everything was reset may have begun anew.
    if (this.#shutdownResets !== native.resets()) this.#shutdown = undefined;
    this.#shutdownResets = native.resets();
    this.#shutdown ??= this.#servers.close(timeout).then((forced) => ({ drained: forced === 0, forced }));
    return this.#shutdown;
  }

  #makeGates() {
    const { name, connections, reputation, trustedProxies, refusedBody, dryRun } = this.#options;
    this.#connections =
      connections === false
        ? null
        : new ConnectionGate(name, this.#part(connections), {
            trustedProxies,
            observes: dryRun,
            refusedBody,
          });
    this.#bans = reputation === false ? null : new BanGate(name, this.#part(reputation), this.#client);
    this.#monitor = this.#openMonitor();
    this.#recorder = this.#makeRecorder();
    this.#judges = this.#bans !== null || this.#monitor !== null || this.#connections !== null;
    this.#servers = new GuardedServers({
      refuses: (socket) => (dryRun ? null : this.#refusesSocket(socket)),
      onRefused: (refusal) => this.#refusedAtAccept(refusal),
      onFault: (error) => this.#counts.fault(error),
      // What is recorded of answers may change later.
      isGated: this.#bans !== null || this.#monitor !== null || this.#options.countOnly !== undefined,
      refusedBody,
    });
  }

  #makeRecorder() {
    return new Recorder({
      reputation: this.reputation,
      monitor: this.#monitor,
      entries: this.#options.record,
      counts: this.#counts,
    });
  }

  /** The options of a part, for which what the guard says of a mismatch holds as well. */
  #part(options) {
    const { onMismatch } = this.#options;
    return typeof options === 'object' && onMismatch !== undefined ? owned({ onMismatch }, options) : options;
  }

  #makeRules() {
    const { name, rateLimit, dryRun } = this.#options;
    this.#rates = new RateGate(this.#owner, {
      dryRun,
      counts: this.#counts,
      onMismatch: this.#options.onMismatch,
    });
    this.#limited = this.#rates.limited(name, rateLimit);
    this.#rule = new Rule(this.#limited, this.#options);
  }

  /** Its rules ban in the guard's reputation, unless they were told another. */
  #openMonitor() {
    const { name } = this.#options;
    const monitor = this.#part(this.#options.monitor);
    if (monitor === false) return null;
    if (typeof monitor === 'string') return new SecurityMonitor(monitor);
    const bans = Array.isArray(monitor.rules) && monitor.rules.some((rule) => rule?.action === 'ban');
    if (!bans || this.#bans === null) return new SecurityMonitor(name, monitor);
    return new SecurityMonitor(name, owned({ reputation: this.reputation.name }, monitor));
  }

  /** Why a request goes no further, before its rate is looked at; null when it does. */
  #refusal(incoming, seen) {
    if (seen === LOST) return this.#refuseLost(incoming);
    if (this.#bans === null && this.#connections === null) return null;
    try {
      this.#meet(incoming.socket?.server);
      const ban = this.#bans?.refuses(incoming, seen) ?? null;
      if (ban !== null) return this.#counted(ban, 'refusedByBan');
      const cap = this.#connections?.refuses(incoming, seen) ?? null;
      return cap === null ? null : this.#counted(connectionsExhausted(cap), 'refusedByConnections');
    } catch (error) {
      return this.#counts.fault(error);
    }
  }

  /** Nothing is served on a connection whose client nothing can name: it would escape every limit. */
  #refuseLost(incoming) {
    const refusal = this.#counted(addressLost(), 'refusedByConnections');
    if (refusal !== null) destroyConnectionOf(incoming);
    return refusal;
  }

  /** Why a socket is refused at accept, or null. */
  #refusesSocket(socket) {
    if (remoteAddressOf(socket) === undefined && hasLostAddress(socket)) return { reason: 'address' };
    return this.#bans?.refusesSocket(socket) ?? null;
  }

  /** Express does not know its server. Injected requests have none. */
  #meet(server) {
    if (server !== undefined && server !== null && !this.#servers.isAttached(server)) this.attach(server);
  }

  #prepareRefusal(incoming, response) {
    try {
      prepareRefusal(incoming, response, this.#options.refusedBody);
    } catch (error) {
      this.#counts.fault(error);
    }
  }

  /** Which origins may read a refusal depends on the request. */
  #toldTo(incoming, decision) {
    if (this.#cors !== null) decision.refusal?.allowOrigin(this.#cors, incoming);
    return decision;
  }

  /** null where it is only told. */
  #counted(refusal, counter) {
    this.#counts.count(this.#options.dryRun ? 'dryRefused' : counter);
    return this.#options.dryRun ? null : refusal;
  }

  /** Records what the answer will say. */
  #hear(incoming, response) {
    const address = this.#judgedOf(incoming);
    beforeAnswer(response, (status) => this.#recorder.answered(incoming, address, status));
  }

  #refusedAtAccept(refusal) {
    this.#counts.count('refusedAtAccept');
    try {
      this.#connections?.countRefused(refusal);
    } catch (error) {
      this.#counts.fault(error);
    }
  }

  /** null after a fault. */
  #see(incoming, isNeeded = true) {
    try {
      return this.#client.see(incoming, isNeeded);
    } catch (error) {
      return this.#counts.fault(error);
    }
  }

  /** The address that failures are recorded for; `undefined` where there is none. */
  #judgedOf(incoming) {
    return this.#see(incoming)?.judged;
  }
}

/** References to the guards of this thread. */
const guards = new Set();
const collected = new FinalizationRegistry((reference) => guards.delete(reference));

function remember(guard) {
  const reference = new WeakRef(guard);
  guards.add(reference);
  collected.register(guard, reference);
}

function followOptions() {
  for (const reference of guards) reference.deref()?.[kFollow]();
}

onProcess('options', followOptions);

/** Node's request behind Fastify's; Express's is Node's own. */
function incomingOf(req) {
  return req.raw ?? req;
}

module.exports = { Guard };
