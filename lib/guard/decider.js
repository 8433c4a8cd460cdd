'use strict';

const { isOwnRequest } = require('../dashboard/own-requests');
const { measured, time } = require('../runtime/measured');
const { native } = require('../runtime/native');
const { GuardDecision } = require('./guard-decision');
const { policyOnceFor } = require('./policy-once');
const { priorityOf, ranksRequests } = require('./priority');
const { markLogin } = require('./recorder');
const { UNKNOWN } = require('./request-client');
const { after } = require('./user-function');

/**
 * Decides on the requests of a guard by its parts: about the ban first, then the connection, the load, the rate, and the
 * requests in progress. `request` is what the user's functions are given, `incoming` Node's request behind it.
 */
class Decider {
  #admission;
  /** null without `overload`, as the next two without their options. */
  #overload;
  #concurrency;
  #cors;
  #rates;
  #counts;
  /** Whether more than the rate depends on the client. */
  #needsClient;
  #showsPolicyOnce;
  /** Whether a decision on the rate is completed by `cors` or `policyHeader`. */
  #completes;
  /** Whether the guard or one of its routes has a priority, so that requests are not alike. */
  #ranksRequests;

  constructor(parts, { policyHeader, priority }) {
    this.#admission = parts.admission;
    this.#overload = parts.overload;
    this.#concurrency = parts.concurrency;
    this.#cors = parts.cors;
    this.#rates = parts.rates;
    this.#counts = parts.counts;
    this.#needsClient = parts.needsClient;
    this.#showsPolicyOnce = policyHeader !== 'always';
    this.#completes = this.#cors !== null || this.#showsPolicyOnce;
    this.#ranksRequests = ranksRequests(priority);
  }

  /** A rule with this priority is used. */
  ranks(priority) {
    this.#ranksRequests ||= ranksRequests(priority);
  }

  decide(request, incoming, rule) {
    if (isOwnRequest(incoming)) return this.#leaveAlone(incoming);
    if (measured.decisions) return this.#measure(time(), this.#decide(request, incoming, rule));
    return this.#decide(request, incoming, rule);
  }

  /**
   * The refusal of a request for its client's ban or its connection, or null where its rate is to be decided; a promise where a
   * server is asked.
   */
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
    return orElse(this.#admit(incoming, rule, seen), () => this.#shed(request, incoming, rule, seen));
  }

  /** Decides on the rate of a request that was admitted. */
  decideRate(request, incoming, rule) {
    if (isOwnRequest(incoming)) return this.#leaveAlone(incoming);
    const seen = this.#seeFor(incoming, rule);
    if (seen === null) return GuardDecision.undecided('fault', UNKNOWN.client);
    if (measured.decisions) return this.#measure(time(), this.#decideRate(request, incoming, rule, seen));
    return this.#decideRate(request, incoming, rule, seen);
  }

  #decide(request, incoming, rule) {
    const seen = this.#seeFor(incoming, rule);
    if (seen === null) return GuardDecision.undecided('fault', UNKNOWN.client);
    return orElse(
      this.#admit(incoming, rule, seen),
      () => this.#shed(request, incoming, rule, seen) ?? this.#decideRate(request, incoming, rule, seen),
    );
  }

  /** What was decided, or a promise of it; adds how long that took, unless the request has waited for its moment. */
  #measure(started, decided) {
    return after(decided, (decision) => {
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
    const refusal = this.#admission.refusal(incoming, seen);
    return refusal === null
      ? null
      : after(refusal, (refusal) => this.#refused(incoming, rule, seen, refusal));
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

  /** Without closures where no part asks for them: every request comes here. */
  #decideRate(request, incoming, rule, seen) {
    if (this.#concurrency !== null) return this.#decideAmongBusy(request, incoming, rule, seen);
    if (rule.limiter === null) {
      this.#counts.allowed();
      return GuardDecision.undecided('allowed', seen.client);
    }
    const decision = this.#rates.decide(request, incoming, rule, seen.client);
    if (!this.#completes) return decision;
    return decision instanceof GuardDecision
      ? this.#complete(incoming, decision)
      : this.#completeLater(incoming, decision);
  }

  #completeLater(incoming, decided) {
    return after(decided, (decision) => this.#complete(incoming, decision));
  }

  /** As `#decideRate`; a request that passes takes a place among those in progress. */
  #decideAmongBusy(request, incoming, rule, { client, judged }) {
    const priority = this.#priorityAmongBusy(request, incoming, rule);
    const enter = (made) =>
      this.#complete(incoming, this.#concurrency.enter(made, { incoming, rule, judged }, priority));
    if (rule.limiter === null) return enter(GuardDecision.undecided('allowed', client));
    return after(this.#rates.decide(request, incoming, rule, client), enter);
  }

  /** Asked before the request is charged, as a function may throw. `undefined` where all requests are alike. */
  #priorityAmongBusy(request, incoming, rule) {
    if (!this.#ranksRequests && !rule.isExempt) return undefined;
    return priorityOf(rule.priority, request, incoming);
  }

  /** The decision; a refusal can be read by the origins that `cors` allows. */
  #complete(incoming, decision) {
    if (this.#cors !== null) decision.refusal?.allowOrigin(this.#cors, incoming);
    if (this.#showsPolicyOnce) decision.showPolicy(policyOnceFor(incoming));
    return decision;
  }
}

/** The refusal, or what `next()` returns where there is none; a promise where the refusal is one. */
function orElse(refused, next) {
  return refused === null ? next() : after(refused, (refused) => refused ?? next());
}

module.exports = { Decider };
