'use strict';

const { invalidOption } = require('../runtime/errors');
const { owned } = require('../runtime/schema');
const { RateLimiter } = require('../rate-limiter');
const { kDecide, kDecideAwaited, kDecideHeld, kReceipt, kUndo } = require('../rate-limiter/symbols');
const { GuardDecision } = require('./guard-decision');
const { isPreflight } = require('./preflight');
const { keyMissing, quotaExceeded } = require('./refusal');
const { missingKey } = require('./request-key');
const { after } = require('./user-function');
const { chargeOrWait, goneDecision, outcomeOf } = require('./waiting-rate');

/** For attaching to an existing limiter. */
const ATTACHED = { options: undefined, limit: undefined };

/** Codes that a limiter throws for a key, cost or limit that a user's function returned. */
const MISTAKES = new Set(['ERR_SLUICE_INVALID_KEY', 'ERR_SLUICE_INVALID_COST', 'ERR_SLUICE_INVALID_OPTION']);

/** The limiters of a guard; decides on the rate of a request by one of its rules. */
class RateGate {
  #owner;
  #dryRun;
  #counts;
  #onMismatch;
  /** Which threads share its limiters, unless their own options say so. */
  #scope;
  /** Whether a request that passes is counted here; else by what decides after. */
  #countsAllowed;
  #limiters = new Map();

  constructor(owner, { dryRun, counts, onMismatch, scope, countsAllowed }) {
    this.#owner = owner;
    this.#dryRun = dryRun;
    this.#onMismatch = onMismatch;
    this.#scope = scope;
    this.#counts = counts;
    this.#countsAllowed = countsAllowed;
  }

  /** The limiters of this thread by name. */
  get limiters() {
    return this.#limiters;
  }

  /** A limiter, and the function that returns the limit for each request, if `rateLimit` has one. */
  limited(name, rateLimit) {
    if (rateLimit === false) return { limiter: null, limit: undefined };
    const { options, limit } = rateLimit === undefined ? ATTACHED : this.#split(rateLimit);
    const limiter = new RateLimiter(name, options === undefined ? undefined : this.#given(options));
    this.#limiters.set(name, limiter);
    this.#counts.uses(name);
    return { limiter, limit };
  }

  /** The options with what the guard sets for all of its limiters. */
  #given(options) {
    const of = owned();
    if (this.#onMismatch !== undefined) of.onMismatch = this.#onMismatch;
    if (this.#scope !== undefined) of.scope = this.#scope;
    const given = owned(of, options);
    return this.#dryRun ? owned(given, { dryRun: true }) : given;
  }

  /**
   * Decides on a request of `client`, by a rule with a limiter, and charges it. Returns a promise only where a function of
   * the user returned one, a server keeps the counts, or the request waits. Exceptions of such a function pass unchanged.
   */
  decide(request, incoming, rule, client) {
    if (rule.skipsPreflight && isPreflight(incoming)) return this.#skipped(client);
    if (rule.isEvaluated) return this.#evaluate(rule, request, incoming, client);
    if (rule.wait !== undefined) return this.#decideInLine(rule, incoming, client, client.key, rule.cost);
    return this.#decide(rule, client, client.key, rule.cost);
  }

  #evaluate(rule, request, incoming, client) {
    return rule.evaluate(request, client.key, {
      skip: () => this.#skipped(client),
      decide: (key, cost, limit) => {
        if (rule.isAwaited) return this.#decideElsewhere(rule, client, key, cost, limit);
        if (rule.wait !== undefined) return this.#decideInLine(rule, incoming, client, key, cost);
        return this.#decide(rule, client, key, cost, limit);
      },
      missing: (given, goOn) => this.#withoutKey(rule, client, { given, goOn }),
    });
  }

  /** As `#decideOrWait`; the decision says whether its request has waited. */
  #decideInLine(rule, incoming, client, key, cost) {
    const made = this.#decideOrWait(rule, incoming, client, key, cost);
    if (!(made instanceof Promise)) return made;
    return made.then((decision) => {
      decision.waited();
      return decision;
    });
  }

  /** Decides on a request for which `key` returned no key. */
  #withoutKey(rule, client, { given, goOn }) {
    if (rule.keyFallback === 'error') throw missingKey(given);
    return rule.keyFallback === 'refuse' ? this.#keyless(rule, client) : goOn(client.key);
  }

  /** Refuses a request without a key; counted with the refusals by quota. */
  #keyless(rule, client) {
    const refusal = keyMissing(rule.limiter.name);
    this.#counts.count(this.#dryRun ? 'dryRefused' : 'refusedByQuota');
    this.#counts.publish(refusal, client, this.#dryRun);
    if (!this.#dryRun) return GuardDecision.refused({ client, rule, refusal, decision: null });
    this.#countAllowed();
    return GuardDecision.undecided('allowed', client);
  }

  /** The guard for which a native call counts what it allows; `undefined` where what decides after counts. */
  #countingGuard() {
    return this.#countsAllowed ? this.#counts.handle : undefined;
  }

  #countAllowed() {
    if (this.#countsAllowed) this.#counts.allowed();
  }

  /** Where the limit is a function, the limiter is created with a limit of 1, and each call sets its own. */
  #split(rateLimit) {
    const { limit, burst } = rateLimit;
    if (typeof limit !== 'function') return { options: rateLimit, limit: undefined };
    if (burst === undefined) return { options: owned(rateLimit, { limit: 1 }), limit };
    const accepted = 'nothing, where limit is a function: the burst is that limit';
    throw invalidOption(`${this.#owner} rateLimit burst`, burst, accepted);
  }

  #decide(rule, client, key, cost, limit) {
    return this.#conclude(rule, client, key, cost, this.#charge(rule, key, cost, limit));
  }

  /** As `#decide`, by units of the server that this process holds, else by the server. */
  #decideElsewhere(rule, client, key, cost, limit) {
    const held = limit === undefined ? this.#chargeHeld(rule, key, cost) : undefined;
    if (held !== undefined) return this.#conclude(rule, client, key, cost, held);
    return this.#decideAwaited(rule, client, key, cost, limit);
  }

  /** As `#decide`, by a server that keeps the counts. */
  async #decideAwaited(rule, client, key, cost, limit) {
    const decision = await this.#chargeAwaited(rule, key, cost, limit);
    if (decision?.allowed) this.#countAllowed();
    return this.#conclude(rule, client, key, cost, decision);
  }

  /** As `#decide`, but a request beyond the quota waits for its moment: a promise then. */
  #decideOrWait(rule, incoming, client, key, cost) {
    const otherwise = {
      gone: () => this.#refused(goneDecision(rule.limiter, key), rule, client),
      decide: () => this.#decide(rule, client, key, cost),
      fault: (error) => this.#conclude(rule, client, key, cost, this.#counts.fault(error)),
    };
    const notCharged = (error) => otherwise[outcomeOf(error, incoming)](error);
    let charged;
    try {
      charged = chargeOrWait(rule, incoming, { key, cost, guard: this.#countingGuard() });
    } catch (error) {
      return notCharged(error);
    }
    if (!(charged instanceof Promise)) return this.#conclude(rule, client, key, cost, charged);
    const conclude = (decision) => {
      this.#countAllowed();
      return this.#conclude(rule, client, key, cost, decision);
    };
    return charged.then(conclude, notCharged);
  }

  #conclude(rule, client, key, cost, decision) {
    if (decision === null) return GuardDecision.undecided('fault', client);
    if (decision.wouldRefuse) {
      this.#counts.count('dryRefused');
      this.#counts.publish(quotaExceeded(decision), client, true);
    }
    if (!decision.allowed) return this.#refused(decision, rule, client);
    const allowed = new GuardDecision('allowed', client, rule, decision);
    if ((rule.countOnly !== undefined || rule.isBounded) && !decision.wouldRefuse) {
      allowed.undoBy(this.#undoFor(rule.limiter, key, cost, decision));
    }
    return allowed;
  }

  /** Charges the request; the native call also counts it as allowed, where it is to. null after an internal error. */
  #charge(rule, key, cost, limit) {
    try {
      return rule.limiter[kDecide](key, cost, limit, this.#countingGuard());
    } catch (error) {
      if (MISTAKES.has(error?.code)) throw error;
      return this.#counts.fault(error);
    }
  }

  /** As `#charge`; undefined where the server has to be asked. */
  #chargeHeld(rule, key, cost) {
    try {
      return rule.limiter[kDecideHeld](key, cost, this.#countingGuard());
    } catch (error) {
      if (MISTAKES.has(error?.code)) throw error;
      return this.#counts.fault(error);
    }
  }

  /** As `#charge`, by a server; counted as allowed by the caller. */
  async #chargeAwaited(rule, key, cost, limit) {
    try {
      return await rule.limiter[kDecideAwaited](key, cost, limit);
    } catch (error) {
      if (MISTAKES.has(error?.code)) throw error;
      return this.#counts.fault(error);
    }
  }

  /** Returns a function that takes back the charge that was just made. */
  #undoFor(limiter, key, cost, decision) {
    const receipt = limiter[kReceipt](key, cost, decision);
    return () => {
      try {
        const undone = after(limiter[kUndo](receipt), () => this.#counts.count('refunded'));
        if (undone instanceof Promise) undone.catch((error) => this.#counts.fault(error));
      } catch (error) {
        this.#counts.fault(error);
      }
    };
  }

  #refused(decision, rule, client) {
    const refusal = quotaExceeded(decision);
    this.#counts.count('refusedByQuota');
    this.#counts.publish(refusal, client, false);
    return GuardDecision.refused({ client, rule, refusal, decision });
  }

  #skipped(client) {
    this.#counts.count('skipped');
    return GuardDecision.undecided('skipped', client);
  }
}

module.exports = { RateGate };
