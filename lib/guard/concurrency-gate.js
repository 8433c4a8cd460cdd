'use strict';

const { Semaphore } = require('../semaphore');
const { kTryHold } = require('../semaphore/symbols');
const { semaphoreNames } = require('./concurrency-names');
const { GuardDecision } = require('./guard-decision');
const { EXEMPT } = require('./priority');
const { busy } = require('./refusal');

/** Thousandths of `max` that requests of a priority fill at most. */
const SHARES = { high: 1000, normal: 900, low: 500 };
const ALL = 1000;

/**
 * Counts requests in progress, over all threads: from the decision to the end of the answer. A place is released once, by
 * the end of the answer, its client's disconnection, or the end of the thread.
 */
class ConcurrencyGate {
  /** null without `max`; the next without `maxPerClient`. */
  #all;
  #perClient;
  #counts;
  #dryRun;
  /** Requests that have a place: one has one, however often it is decided on. */
  #placed = new WeakSet();

  constructor(name, { max, maxPerClient }, { counts, dryRun, onMismatch }) {
    const names = semaphoreNames(name);
    const open = (kind, permits) =>
      permits === undefined ? null : new Semaphore(names[kind], { permits, onMismatch });
    this.#all = open('max', max);
    this.#perClient = open('maxPerClient', maxPerClient);
    this.#counts = counts;
    this.#dryRun = dryRun;
  }

  get semaphores() {
    return { max: this.#all, maxPerClient: this.#perClient };
  }

  /**
   * Takes a place for a request that a `decision` lets pass. Where there is none, returns the decision that refuses it, and
   * takes its charge back. Requests without a `judged` address are not counted for a client: a proxy carries several, and
   * unknown clients may be many. Without a `priority` the request may take any place; 'exempt' takes none.
   */
  enter(decision, { incoming, rule, judged }, priority) {
    if (decision.outcome !== 'allowed') return decision;
    const client = judged === undefined ? null : decision.client.key;
    const isCounted = rule.isBounded && priority !== EXEMPT;
    const reason = isCounted ? this.#take(decision, { incoming, client }, priority) : null;
    const refusal = reason === null ? null : this.#counted(busy(reason), decision.client);
    if (refusal === null) {
      this.#counts.allowed();
      return decision;
    }
    decision.takeBack();
    const refused = GuardDecision.refused({ client: decision.client, rule, refusal, decision: null });
    if (decision.hasWaited) refused.waited();
    return refused;
  }

  /** null in a dry run, which only counts. */
  #counted(refusal, client) {
    this.#counts.count(this.#dryRun ? 'dryRefused' : 'refusedByConcurrency', client.key);
    this.#counts.publish(refusal, client, this.#dryRun);
    return this.#dryRun ? null : refusal;
  }

  /** The cap that leaves no place; null where the request has one, also after an internal error. */
  #take(decision, { incoming, client }, priority) {
    if (this.#placed.has(incoming)) return null;
    let own;
    try {
      own = client === null ? undefined : this.#perClient?.[kTryHold](client, ALL);
      if (own === null) return 'maxPerClient';
      const place = this.#all?.[kTryHold](undefined, SHARES[priority] ?? ALL);
      if (place === null) {
        own?.release();
        return 'max';
      }
      this.#placed.add(incoming);
      decision.keepPlaces(() => {
        own?.release();
        place?.release();
        this.#placed.delete(incoming);
      });
      return null;
    } catch (error) {
      own?.release();
      return this.#counts.fault(error);
    }
  }
}

/** What the semaphores of a guard count; null without any. One that was destroyed counts nothing. */
function concurrencyStats({ max, maxPerClient }) {
  if (max === null && maxPerClient === null) return null;
  return { inFlight: heldOf(max) ?? heldOf(maxPerClient) ?? 0 };
}

function heldOf(semaphore) {
  try {
    return semaphore?.stats().held;
  } catch {
    return undefined;
  }
}

module.exports = { ConcurrencyGate, concurrencyStats };
