'use strict';

const { PROBLEM_MEDIA_TYPE } = require('../http/problem');
const { MIXED_CASE } = require('./headers');

/**
 * What a guard decided about one request; applications find it at `req.sluice` (Express) and `request.sluice`
 * (Fastify). `client` is the client that the guard saw: `{ address, key }`. `outcome` is 'allowed', 'refused', 'skipped' or 'fault'; `decision` is the limiter's, null where
 * none was asked.
 */
class GuardDecision {
  #rule;
  #undo;

  /** A request that no limiter was asked about. */
  static undecided(outcome, client) {
    return new GuardDecision(outcome, { client, rule: null, decision: null, refusal: null, undo: null });
  }

  /** `decision` is the limiter's, where that refuses. */
  static refused({ client, rule, refusal, decision }) {
    return new GuardDecision('refused', { client, rule, decision, refusal, undo: null });
  }

  /** All are given: defaults would be read from a polluted `Object.prototype`. `undo` takes the charge back, or is null. */
  constructor(outcome, { client, rule, decision, refusal, undo }) {
    this.outcome = outcome;
    this.client = client;
    this.decision = decision;
    this.refusal = refusal;
    this.#rule = rule;
    this.#undo = undo;
  }

  /** Whether `answered` has to be told what became of the request. */
  get awaitsAnswer() {
    return this.#undo !== null;
  }

  /** Takes the charge back if such requests do not count. */
  answered(succeeded) {
    if (succeeded === (this.#rule.countOnly === 'failures')) this.#undo();
  }

  /** Whether the request goes on: what was skipped, or met a fault of ours, does. */
  get allowed() {
    return this.outcome !== 'refused';
  }

  /** Of the answer to a refused request. */
  get status() {
    return this.refusal?.status;
  }

  /** What the client is to be told, whether it is served or refused: names and values of header fields. */
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

  /** The user's own answer to a refused request, if there is one. */
  get handler() {
    return this.#rule?.handler;
  }

  writeHeaders(response, how) {
    if (this.decision !== null) this.#rule.headers.write(response, this.decision, how);
    this.refusal?.writeHeaders(response);
  }
}

module.exports = { GuardDecision };
