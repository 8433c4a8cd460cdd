'use strict';

const { invalidOption } = require('../runtime/errors');
const { owned } = require('../runtime/schema');
const { RateLimiter, kDecide, kReceipt, kUndo } = require('../rate-limiter');
const { GuardDecision } = require('./guard-decision');
const { isPreflight } = require('./preflight');
const { keyMissing, quotaExceeded } = require('./refusal');
const { missingKey } = require('./request-key');

/** Of a limiter that there is already. */
const ATTACHED = { options: undefined, limit: undefined };

/** What a limiter throws for a key, a cost or a limit that a user's function made. */
const MISTAKES = new Set(['ERR_SLUICE_INVALID_KEY', 'ERR_SLUICE_INVALID_COST', 'ERR_SLUICE_INVALID_OPTION']);

/** The limiters of a guard, and what they say about a request by one of its rules. */
class RateGate {
  #owner;
  #dryRun;
  #counts;
  #onMismatch;
  #limiters = new Map();

  constructor(owner, { dryRun, counts, onMismatch }) {
    this.#owner = owner;
    this.#dryRun = dryRun;
    this.#onMismatch = onMismatch;
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
    const limiter = new RateLimiter(name, options === undefined ? undefined : this.#given(options));
    this.#limiters.set(name, limiter);
    this.#counts.uses(name);
    return { limiter, limit };
  }

  /** With what the guard says for all of its limiters. */
  #given(options) {
    const given =
      this.#onMismatch === undefined ? owned(options) : owned({ onMismatch: this.#onMismatch }, options);
    return this.#dryRun ? owned(given, { dryRun: true }) : given;
  }

  /**
   * Decides on a request of `client`, by a rule with a limiter, and charges it. Answers at once, or with a promise where
   * a function of the user's gave one; what such a function throws comes through as it is.
   */
  decide(request, incoming, rule, client) {
    if (rule.skipsPreflight && isPreflight(incoming)) return this.#skipped(client);
    if (rule.asksUser) return this.#ask(rule, request, client);
    return this.#decide(rule, client, client.key, rule.cost);
  }

  #ask(rule, request, client) {
    return rule.ask(request, client.key, {
      skip: () => this.#skipped(client),
      decide: (key, cost, limit) => this.#decide(rule, client, key, cost, limit),
      missing: (given, goOn) => this.#withoutKey(rule, client, { given, goOn }),
    });
  }

  /** Decides on a request that `key` has no key for. */
  #withoutKey(rule, client, { given, goOn }) {
    if (rule.keyFallback === 'error') throw missingKey(given);
    return rule.keyFallback === 'refuse' ? this.#keyless(rule, client) : goOn(client.key);
  }

  /** Counted with the quota's refusals: the rate's part of the guard refuses it. */
  #keyless(rule, client) {
    this.#counts.count(this.#dryRun ? 'dryRefused' : 'refusedByQuota');
    if (!this.#dryRun)
      return GuardDecision.refused({
        client,
        rule,
        refusal: keyMissing(rule.limiter.name),
        decision: null,
      });
    this.#counts.allowed();
    return GuardDecision.undecided('allowed', client);
  }

  /** Where the limit is a function, the limiter is created with the least, and told another by each call. */
  #split(rateLimit) {
    const { limit, burst } = rateLimit;
    if (typeof limit !== 'function') return { options: rateLimit, limit: undefined };
    if (burst === undefined) return { options: owned(rateLimit, { limit: 1 }), limit };
    const accepted = 'nothing, where limit is a function: the burst is that limit';
    throw invalidOption(`${this.#owner} rateLimit burst`, burst, accepted);
  }

  #decide(rule, client, key, cost, limit) {
    const decision = this.#charge(rule, key, cost, limit);
    if (decision === null) return GuardDecision.undecided('fault', client);
    const undo = rule.countOnly === undefined ? null : this.#undoFor(rule.limiter, key, cost);
    if (decision.wouldRefuse) this.#counts.count('dryRefused');
    if (!decision.allowed) return this.#refused(decision, rule, client);
    return new GuardDecision('allowed', {
      client,
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

  #refused(decision, rule, client) {
    this.#counts.count('refusedByQuota');
    return GuardDecision.refused({ client, rule, refusal: quotaExceeded(decision), decision });
  }

  #skipped(client) {
    this.#counts.count('skipped');
    return GuardDecision.undecided('skipped', client);
  }
}

module.exports = { RateGate };
