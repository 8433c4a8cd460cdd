'use strict';

const { PROBLEM_MEDIA_TYPE } = require('../http/problem');
const { MIXED_CASE } = require('./headers');

/**
 * What a guard decided about one request: `req.sluice` in Express, `request.sluice` in Fastify. `client` is
 * `{ address, key }`; `outcome` is 'allowed', 'refused', 'skipped' or 'fault'; `decision` is the limiter's, null where no
 * limiter decided.
 */
class GuardDecision {
  #rule;
  #undo;

  /** A request that passes without a limiter's decision. */
  static undecided(outcome, client) {
    return new GuardDecision(outcome, { client, rule: null, decision: null, refusal: null, undo: null });
  }

  /** `decision` is the limiter's, where it refuses; else null. */
  static refused({ client, rule, refusal, decision }) {
    return new GuardDecision('refused', { client, rule, decision, refusal, undo: null });
  }

  /** Takes no defaults, which a polluted `Object.prototype` would replace. `undo` takes the charge back, or is null. */
  constructor(outcome, { client, rule, decision, refusal, undo }) {
    this.outcome = outcome;
    this.client = client;
    this.decision = decision;
    this.refusal = refusal;
    this.#rule = rule;
    this.#undo = undo;
  }

  /** Whether `answered` is to be called with the outcome of the request. */
  get awaitsAnswer() {
    return this.#undo !== null;
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
    this.writeHeaders(response, { follows: false, names: MIXED_CASE });
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

  writeHeaders(response, how) {
    if (this.decision !== null) this.#rule.headers.write(response, this.decision, how);
    this.refusal?.writeHeaders(response);
  }
}

module.exports = { GuardDecision };
