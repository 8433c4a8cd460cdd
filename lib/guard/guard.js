'use strict';

const { invalidOption } = require('../errors');
const { RateLimiter, kDecide, kReceipt, kUndo } = require('../rate-limiter');
const { ConnectionGate } = require('./connection-gate');
const { GuardDecision } = require('./guard-decision');
const { guardOptions, routeOptions } = require('./guard-options');
const { connectionsExhausted, quotaExceeded } = require('./refusal');
const { RequestClient } = require('./request-client');
const { Rule } = require('./rule');
const { warnOnce } = require('./warn-once');

const PASSED = Object.freeze(new GuardDecision('allowed'));
const SKIPPED = Object.freeze(new GuardDecision('skipped'));
const FAULT = Object.freeze(new GuardDecision('fault'));

/** What a limiter throws for a key, a cost or a limit that a user's function made. */
const MISTAKES = new Set(['ERR_SLUICE_INVALID_KEY', 'ERR_SLUICE_INVALID_COST', 'ERR_SLUICE_INVALID_OPTION']);

/**
 * What stands before a server: it decides on requests and says what to send; sending is the adapter's part.
 *
 * Its limiters and its tracker are named instances, shared by all threads that use the same names; the guard
 * itself, and what it counts, belongs to its thread. A fault of ours keeps no request from being served: it
 * passes and counts.
 */
class Guard {
  #owner;
  #options;
  #client;
  #gate;
  #limited;
  #rule;
  #limiters = new Map();
  #counts = { allowed: 0, refused: 0, dryRefused: 0, skipped: 0, refunded: 0, faults: 0 };

  /** `owner` is how error messages call the caller: the adapter's name. */
  constructor(owner, options) {
    this.#owner = owner;
    this.#options = guardOptions(owner, options);
    const { name, rateLimit, connections, trustedProxies, dryRun } = this.#options;
    this.#client = new RequestClient(trustedProxies);
    this.#gate = connections
      ? new ConnectionGate(name, connections, { trustedProxies, observes: dryRun })
      : null;
    this.#limited = this.#limiter(name, rateLimit);
    this.#rule = new Rule(this.#limited, this.#options);
  }

  get name() {
    return this.#options.name;
  }

  /** The limiter of every route without one of its own; null when `rateLimit` is false. */
  get limiter() {
    return this.#rule.limiter;
  }

  /** null without `connections`. */
  get tracker() {
    return this.#gate === null ? null : this.#gate.tracker;
  }

  /** The rule of requests whose route has none of its own. */
  get rule() {
    return this.#rule;
  }

  /** A route's own rule. What `options` leave out is the guard's, its limiter included. */
  routeRule(limiterName, options) {
    const own = routeOptions(this.#owner, options);
    const limited = own.rateLimit === undefined ? this.#limited : this.#limiter(limiterName, own.rateLimit);
    return new Rule(limited, { ...this.#options, ...own });
  }

  /** Caps the connections of `server` from their accept on. */
  attach(server) {
    this.#gate?.attach(server);
  }

  /**
   * Decides on a request, and charges it: its connection first, then its rate. Answers at once, or with a
   * promise where a function of the user's gave one; what such a function throws comes through as it is.
   * `request` is what these functions are given, `incoming` Node's request behind it.
   */
  check(request, incoming = request, rule = this.#rule) {
    const refused = this.#refusesConnection(incoming);
    if (refused !== null) return this.#refused(connectionsExhausted(refused), rule);
    return rule.limiter === null ? this.#passed() : this.#rate(request, incoming, rule);
  }

  /**
   * Writes what the client is to know onto what has `header(name, value)` and `getHeader(name)`. `follows`
   * says that another guard has decided about the request before.
   */
  writeHeaders(decision, response, { follows }) {
    try {
      decision.writeHeaders(response, follows);
    } catch (error) {
      this.#fault(error);
    }
  }

  /** The counts are this thread's; what the limiters and the tracker report is of all threads. */
  stats() {
    const stats = { ...this.#counts, rateLimit: null, connections: statsOf(this.tracker), routes: {} };
    for (const [name, limiter] of this.#limiters) {
      if (limiter === this.limiter) stats.rateLimit = statsOf(limiter);
      else stats.routes[name] = statsOf(limiter);
    }
    return stats;
  }

  /** A limiter, and the function that gives its limit for each request where it has one. */
  #limiter(name, rateLimit) {
    if (rateLimit === false) return { limiter: null };
    const { options, limit } = this.#split(rateLimit);
    const limiter = new RateLimiter(name, this.#options.dryRun ? { ...options, dryRun: true } : options);
    this.#limiters.set(name, limiter);
    return { limiter, limit };
  }

  /** Where the limit is a function, the limiter is created with the least, and told another by each call. */
  #split(rateLimit) {
    const { limit, burst } = rateLimit;
    if (typeof limit !== 'function') return { options: rateLimit };
    if (burst === undefined) return { options: { ...rateLimit, limit: 1 }, limit };
    const accepted = 'nothing, where limit is a function: the burst is that limit';
    throw invalidOption(`${this.#owner} rateLimit burst`, burst, accepted);
  }

  /** Why the tracker refuses the request's connection, or null. */
  #refusesConnection(incoming) {
    if (this.#gate === null) return null;
    try {
      const refused = this.#gate.refuses(incoming);
      if (refused === null || !this.#options.dryRun) return refused;
      this.#counts.dryRefused += 1;
      return null;
    } catch (error) {
      return this.#fault(error);
    }
  }

  #rate(request, incoming, rule) {
    const client = rule.needsClient ? this.#clientOf(incoming) : undefined;
    if (client === null) return FAULT;
    if (!rule.asksUser) return this.#decide(rule, client, rule.cost);
    return rule.ask(request, client, {
      skip: () => this.#skipped(),
      decide: (key, cost, limit) => this.#decide(rule, key, cost, limit),
    });
  }

  /** null after a fault. */
  #clientOf(incoming) {
    try {
      return this.#client.of(incoming);
    } catch (error) {
      return this.#fault(error);
    }
  }

  #decide(rule, key, cost, limit) {
    const decision = this.#charge(rule, key, cost, limit);
    if (decision === null) return FAULT;
    const undo = rule.countOnly === undefined ? null : this.#undoFor(rule.limiter, key, cost);
    if (decision.wouldRefuse) this.#counts.dryRefused += 1;
    if (!decision.allowed) return this.#refused(quotaExceeded(decision), rule);
    return this.#passed(decision, rule, decision.wouldRefuse ? null : undo);
  }

  /** null after a fault. */
  #charge(rule, key, cost, limit) {
    try {
      return rule.limiter[kDecide](key, cost, limit);
    } catch (error) {
      if (MISTAKES.has(error?.code)) throw error;
      return this.#fault(error);
    }
  }

  /** Takes the charge that was just made back, when it turns out not to count. */
  #undoFor(limiter, key, cost) {
    const receipt = limiter[kReceipt](key, cost);
    return () => {
      try {
        limiter[kUndo](receipt);
        this.#counts.refunded += 1;
      } catch (error) {
        this.#fault(error);
      }
    };
  }

  #passed(decision, rule, undo) {
    this.#counts.allowed += 1;
    return decision === undefined ? PASSED : new GuardDecision('allowed', { rule, decision, undo });
  }

  #refused(refusal, rule) {
    this.#counts.refused += 1;
    return new GuardDecision('refused', { rule, refusal, decision: refusal.decision });
  }

  #skipped() {
    this.#counts.skipped += 1;
    return SKIPPED;
  }

  #fault(error) {
    this.#counts.faults += 1;
    warnOnce(
      'SLUICE_GUARD_FAULT',
      `A guard let a request pass after a fault of its own: ${error?.message}`,
      error?.stack,
    );
    return null;
  }
}

/** null for what is not there, or was destroyed: faults must be told above all when they happen. */
function statsOf(instance) {
  try {
    return instance?.stats() ?? null;
  } catch {
    return null;
  }
}

module.exports = { Guard };
