'use strict';

const { PROBLEM_MEDIA_TYPE } = require('../http/problem');
const { mixedCase } = require('./headers');

/**
 * What a guard decided about one request: `req.sluice` in Express, `request.sluice` in Fastify. `client` is
 * `{ address, key }`; `outcome` is 'allowed', 'refused', 'skipped' or 'fault'; `decision` is the limiter's, null where no
 * limiter decided.
 */
class GuardDecision {
  refusal = null;
  #rule;
  #undo = null;
  /** Releases the places of a request in progress. */
  #release = null;
  #policyOnce = null;
  #hasWaited = false;

  /** A request that passes without a limiter's decision. */
  static undecided(outcome, client) {
    return new GuardDecision(outcome, client, null, null);
  }

  /** `decision` is the limiter's, where it refuses; else null. */
  static refused({ client, rule, refusal, decision }) {
    const refused = new GuardDecision('refused', client, rule, decision);
    refused.refusal = refusal;
    return refused;
  }

  /** `rule` is null where no limiter decided and nothing is refused. */
  constructor(outcome, client, rule, decision) {
    this.outcome = outcome;
    this.client = client;
    this.decision = decision;
    this.#rule = rule;
  }

  /** `undo` takes the charge back. */
  undoBy(undo) {
    this.#undo = undo;
  }

  /** Takes the charge back: the request is refused for another reason. */
  takeBack() {
    this.#undo?.();
    this.#undo = null;
  }

  /** The request has places among those in progress, which `release` releases at the end of its answer. */
  keepPlaces(release) {
    this.#release = release;
  }

  get hasPlaces() {
    return this.#release !== null;
  }

  releasePlaces() {
    const release = this.#release;
    this.#release = null;
    release?.();
  }

  /** The request has waited for its moment. */
  waited() {
    this.#hasWaited = true;
  }

  get hasWaited() {
    return this.#hasWaited;
  }

  /** Whether `answered` is to be called with the outcome of the request. */
  get awaitsAnswer() {
    return this.#undo !== null && this.#rule.countOnly !== undefined;
  }

  /** The answer shows the policies of the limiter only if `policyOnce` says so. */
  showPolicy(policyOnce) {
    this.#policyOnce = policyOnce;
  }

  /** Takes the charge back if such requests do not count. */
  answered(succeeded) {
    if (succeeded === (this.#rule.countOnly === 'failures')) this.#undo();
  }

  /** Whether the request passes; it also does when it was skipped, or after an internal error. */
  get allowed() {
    return this.outcome !== 'refused';
  }

  /** The status of the answer to a refused request. */
  get status() {
    return this.refusal?.status;
  }

  /** Names and values of the headers for the client, whether it is served or refused. */
  get headers() {
    const headers = {};
    const response = {
      header: (name, value) => Object.assign(headers, { [name]: value }),
      getHeader: (name) => headers[name],
    };
    this.writeHeaders(response, mixedCase(false));
    if (this.refusal !== null) {
      headers['Content-Type'] = PROBLEM_MEDIA_TYPE;
      headers['Content-Length'] = String(Buffer.byteLength(this.body));
    }
    return headers;
  }

  /** The problem that answers a refused request, as JSON. */
  get body() {
    return this.refusal?.body;
  }

  /** The user's function that answers refused requests, if there is one. */
  get handler() {
    return this.#rule?.handler;
  }

  /** Whether `writeHeaders` writes any. */
  get hasHeaders() {
    return this.refusal !== null || this.#hasQuota();
  }

  writeHeaders(response, how) {
    if (this.#hasQuota()) this.#rule.headers.write(response, this.decision, how, this.#policyOnce);
    this.refusal?.writeHeaders(response);
  }

  /** No getter: V8 11 calls its runtime for each read of a private one. */
  #hasQuota() {
    return this.decision !== null && (this.#rule.headers.onAllowed || this.refusal !== null);
  }
}

module.exports = { GuardDecision };
