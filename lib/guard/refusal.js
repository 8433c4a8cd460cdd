'use strict';

const { connectionProblem, PROBLEM_MEDIA_TYPE, quotaProblem, seconds } = require('../problem');

/** Why a request was refused, and the whole answer to it. */
class Refusal {
  #body;

  constructor(reason, { problem, retryAfterMs, decision = null }) {
    this.reason = reason;
    this.status = problem.status;
    this.retryAfterMs = retryAfterMs;
    this.decision = decision;
    this.problem = problem;
  }

  /** The problem as JSON (RFC 9457), for `PROBLEM_MEDIA_TYPE`. */
  get body() {
    this.#body ??= JSON.stringify(this.problem);
    return this.#body;
  }

  /** At the cap the connection itself is what there is too much of; a spent quota leaves it usable. */
  get closesConnection() {
    return this.status === 503;
  }

  /** The headers every refusal carries, a custom one too. A wait without end is not announced. */
  writeHeaders(response) {
    if (Number.isFinite(this.retryAfterMs)) {
      response.header('Retry-After', String(seconds(this.retryAfterMs)));
    }
    if (this.closesConnection) response.header('Connection', 'close');
  }
}

function quotaExceeded(decision) {
  const { retryAfterMs } = decision;
  return new Refusal('quota', { problem: quotaProblem(decision), retryAfterMs, decision });
}

/** `refused` is the tracker's reason, and its wait where it knows one. */
function connectionsExhausted(refused) {
  const problem = connectionProblem(refused);
  return new Refusal('connections', { problem, retryAfterMs: problem.retryAfterMs });
}

module.exports = { PROBLEM_MEDIA_TYPE, connectionsExhausted, quotaExceeded };
