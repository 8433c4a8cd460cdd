'use strict';

const { invalidOption } = require('../errors');
const { RateLimiter, kDecide, kReceipt, kUndo } = require('../rate-limiter');
const { GuardDecision } = require('./guard-decision');
const { quotaExceeded } = require('./refusal');

const SKIPPED = Object.freeze(new GuardDecision('skipped'));
const FAULT = Object.freeze(new GuardDecision('fault'));

/** Of a limiter that there is already. */
const ATTACHED = { options: undefined, limit: undefined };

/** What a limiter throws for a key, a cost or a limit that a user's function made. */
const MISTAKES = new Set(['ERR_SLUICE_INVALID_KEY', 'ERR_SLUICE_INVALID_COST', 'ERR_SLUICE_INVALID_OPTION']);

/** The limiters of a guard, and what they say about a request by one of its rules. */
class RateGate {
  #owner;
  #dryRun;
  #client;
  #counts;
  #limiters = new Map();

  /** `client` knows who sent a request. */
  constructor(owner, { dryRun, client, counts }) {
    this.#owner = owner;
    this.#dryRun = dryRun;
    this.#client = client;
    this.#counts = counts;
  }

  /** Statistics by the limiters' names, over all threads. */
  get limiters() {
    return this.#limiters;
  }

  /** A limiter, and the function that gives its limit for each request where it has one. */
  limited(name, rateLimit) {
    if (rateLimit === false) return { limiter: null, limit: undefined };
    const { options, limit } = rateLimit === undefined ? ATTACHED : this.#split(rateLimit);
    const given = options !== undefined && this.#dryRun ? { ...options, dryRun: true } : options;
    const limiter = new RateLimiter(name, given);
    this.#limiters.set(name, limiter);
    return { limiter, limit };
  }

  /**
   * Decides on a request by a rule with a limiter, and charges it. Answers at once, or with a promise where
   * a function of the user's gave one; what such a function throws comes through as it is.
   */
  decide(request, incoming, rule) {
    const client = rule.needsClient ? this.#clientOf(incoming) : undefined;
    if (client === null) return FAULT;
    return rule.asksUser ? this.#ask(rule, request, client) : this.#decide(rule, client, rule.cost);
  }

  #ask(rule, request, client) {
    return rule.ask(request, client, {
      skip: () => this.#skipped(),
      decide: (key, cost, limit) => this.#decide(rule, key, cost, limit),
    });
  }

  /** Where the limit is a function, the limiter is created with the least, and told another by each call. */
  #split(rateLimit) {
    const { limit, burst } = rateLimit;
    if (typeof limit !== 'function') return { options: rateLimit, limit: undefined };
    if (burst === undefined) return { options: { ...rateLimit, limit: 1 }, limit };
    const accepted = 'nothing, where limit is a function: the burst is that limit';
    throw invalidOption(`${this.#owner} rateLimit burst`, burst, accepted);
  }

  /** null after a fault. */
  #clientOf(incoming) {
    try {
      return this.#client.of(incoming);
    } catch (error) {
      return this.#counts.fault(error);
    }
  }

  #decide(rule, key, cost, limit) {
    const decision = this.#charge(rule, key, cost, limit);
    if (decision === null) return FAULT;
    const undo = rule.countOnly === undefined ? null : this.#undoFor(rule.limiter, key, cost);
    if (decision.wouldRefuse) this.#counts.count('dryRefused');
    if (!decision.allowed) return this.#refused(decision, rule);
    return new GuardDecision('allowed', {
      rule,
      decision,
      refusal: null,
      undo: decision.wouldRefuse ? null : undo,
    });
  }

  /** What it allows is counted with it. null after a fault. */
  #charge(rule, key, cost, limit) {
    try {
      return rule.limiter[kDecide](key, cost, limit, this.#counts.handle);
    } catch (error) {
      if (MISTAKES.has(error?.code)) throw error;
      return this.#counts.fault(error);
    }
  }

  /** Takes the charge that was just made back, when it turns out not to count. */
  #undoFor(limiter, key, cost) {
    const receipt = limiter[kReceipt](key, cost);
    return () => {
      try {
        limiter[kUndo](receipt);
        this.#counts.count('refunded');
      } catch (error) {
        this.#counts.fault(error);
      }
    };
  }

  #refused(decision, rule) {
    this.#counts.count('refusedByQuota');
    return new GuardDecision('refused', { rule, refusal: quotaExceeded(decision), decision, undo: null });
  }

  #skipped() {
    this.#counts.count('skipped');
    return SKIPPED;
  }
}

module.exports = { RateGate };
