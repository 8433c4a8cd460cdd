'use strict';

const {
  PROBLEM_MEDIA_TYPE,
  addressProblem,
  banProblem,
  busyProblem,
  connectionProblem,
  degradedProblem,
  keyProblem,
  overloadProblem,
  quotaProblem,
  seconds,
} = require('../http/problem');
const { removePageHeaders } = require('./page-headers');

/** The reason of a refusal, and the whole answer to it. */
class Refusal {
  #body;
  /** Which origins may read the answer, where the guard has `cors`. */
  #cors = null;

  /** `closesConnection`: the connection itself is refused. A spent quota leaves it usable. */
  constructor(reason, { problem, retryAfterMs, decision, closesConnection }) {
    this.reason = reason;
    this.status = problem.status;
    this.retryAfterMs = retryAfterMs;
    this.decision = decision;
    this.problem = problem;
    this.closesConnection = closesConnection;
  }

  /** The problem as JSON (RFC 9457), for `PROBLEM_MEDIA_TYPE`. */
  get body() {
    this.#body ??= JSON.stringify(this.problem);
    return this.#body;
  }

  /** Lets scripts of the request's origin read the answer, as far as `cors` allows. */
  allowOrigin(cors, incoming) {
    this.#cors = { cors, incoming };
  }

  /** Writes the headers of every refusal, a custom one too, and removes those of the page. */
  writeHeaders(response) {
    removePageHeaders(response);
    response.header('Cache-Control', 'no-store');
    this.#cors?.cors.write(response, this.#cors.incoming);
    if (Number.isFinite(this.retryAfterMs)) {
      response.header('Retry-After', String(seconds(this.retryAfterMs)));
    }
    if (this.closesConnection) response.header('Connection', 'close');
  }
}

function quotaExceeded(decision) {
  const { retryAfterMs } = decision;
  return new Refusal('quota', {
    problem: decision.degraded ? degradedProblem(decision) : quotaProblem(decision),
    retryAfterMs,
    decision,
    closesConnection: false,
  });
}

/** For a request without a key. */
function keyMissing(policy) {
  return withoutWait('key', keyProblem(policy));
}

/** `refused` is the tracker's reason, and the time to wait where it is known. */
function connectionsExhausted(refused) {
  const problem = connectionProblem(refused);
  return new Refusal('connections', {
    problem,
    retryAfterMs: problem.retryAfterMs,
    decision: null,
    closesConnection: true,
  });
}

/** For a request for which too many are in progress; `cap` is the option that refuses it. The connection stays open. */
function busy(cap) {
  const problem = busyProblem(cap);
  return new Refusal('concurrency', {
    problem,
    retryAfterMs: problem.retryAfterMs,
    decision: null,
    closesConnection: false,
  });
}

/** For a request that this thread cannot take on. Its connection stays open: making another one costs the server more. */
function overloaded() {
  const problem = overloadProblem();
  return new Refusal('overload', {
    problem,
    retryAfterMs: problem.retryAfterMs,
    decision: null,
    closesConnection: false,
  });
}

/** For a client that has reset its connection before its address was known. */
function addressLost() {
  return withoutWait('address', addressProblem());
}

/** `policy` is the reputation's name. A proxy's connection carries other clients as well, and stays open. */
function banned({ retryAfterMs }, { policy, closesConnection }) {
  return new Refusal('ban', {
    problem: banProblem({ retryAfterMs, policy }),
    retryAfterMs,
    decision: null,
    closesConnection,
  });
}

/** A refusal for which waiting does not help. */
function withoutWait(reason, problem) {
  return new Refusal(reason, {
    problem,
    retryAfterMs: Number.POSITIVE_INFINITY,
    decision: null,
    closesConnection: false,
  });
}

module.exports = {
  PROBLEM_MEDIA_TYPE,
  addressLost,
  banned,
  busy,
  connectionsExhausted,
  keyMissing,
  overloaded,
  quotaExceeded,
};
