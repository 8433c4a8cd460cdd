'use strict';

/** Bodies of refusals: problem details by RFC 9457, with the types of draft-ietf-httpapi-ratelimit-headers. */

const PROBLEM_TYPES = 'https://iana.org/assignments/http-problem-types#';
const PROBLEM_MEDIA_TYPE = 'application/problem+json';

const QUOTA_EXCEEDED = { status: 429, type: 'quota-exceeded', title: 'Quota Exceeded' };
const REDUCED_CAPACITY = {
  status: 503,
  type: 'temporary-reduced-capacity',
  title: 'Temporary Reduced Capacity',
};

const ABNORMAL_USAGE = { status: 403, type: 'abnormal-usage-detected', title: 'Abnormal Usage Detected' };

/** For a connection that has lost its address. The type is that of RFC 9457 for problems that the status describes. */
const BAD_REQUEST = { type: 'about:blank', title: 'Bad Request', status: 400 };

const INTERNAL_ERROR = { type: 'about:blank', title: 'Internal Server Error', status: 500 };

/** When a connection ends is unknown. A second keeps well-behaved clients from retrying at once. */
const CONNECTION_RETRY_MS = 1000;

/** When load that was shed may come again: by chance, so that it does not come at once. */
const LEAST_OVERLOAD_RETRY_S = 1;
const MOST_OVERLOAD_RETRY_S = 5;

/** When another instance, or this one after its restart, may answer. */
const SHUTDOWN_RETRY_MS = 1000;

/** When a request in progress ends is unknown. */
const BUSY_RETRY_MS = 1000;

const BUSY_DETAILS = {
  max: 'The server has as many requests in progress as it takes.',
  maxPerClient: 'This client has as many requests in progress as it may.',
};

const CONNECTION_DETAILS = {
  max: 'The server has as many connections as it takes.',
  maxPerClient: 'This client has as many connections as it may.',
  opens: 'This client opens connections too often.',
  unavailable: 'The connections cannot be counted at the moment.',
};

/** The status alone describes the problem (RFC 9457, section 4.2.1). */
const KEY_MISSING = { status: 400, type: 'about:blank', title: 'Bad Request' };

/** An infinite `retryAfterMs` is null in the body. */
function problem({ status, type, title }, { detail, retryAfterMs, policies }) {
  return {
    type: type === 'about:blank' ? type : PROBLEM_TYPES + type,
    title,
    status,
    detail,
    retryAfterMs: Number.isFinite(retryAfterMs) ? retryAfterMs : null,
    'violated-policies': policies,
  };
}

function quotaProblem({ retryAfterMs, policy }) {
  const detail = Number.isFinite(retryAfterMs)
    ? `The quota is used up. Try again in ${seconds(retryAfterMs)} s.`
    : 'The request costs more than its quota can ever hold.';
  return problem(QUOTA_EXCEEDED, { detail, retryAfterMs, policies: [policy] });
}

/** For a request that was refused without the server that keeps the counts. Its client may have quota left. */
function degradedProblem({ retryAfterMs, policy }) {
  const detail = 'The quota cannot be checked at the moment.';
  return problem(REDUCED_CAPACITY, { detail, retryAfterMs, policies: [policy] });
}

/** For a request without the key that the limit `policy` counts by. Retrying does not help. */
function keyProblem(policy) {
  const detail = 'The request does not say whose quota it is charged to.';
  return problem(KEY_MISSING, { detail, retryAfterMs: Number.POSITIVE_INFINITY, policies: [policy] });
}

/** For a connection that a tracker refused. `reason` is the option that refused it. */
function connectionProblem({ reason, retryAfterMs }) {
  return problem(REDUCED_CAPACITY, {
    detail: CONNECTION_DETAILS[reason],
    retryAfterMs: Math.max(retryAfterMs, CONNECTION_RETRY_MS),
    policies: [reason],
  });
}

/** For a request for which too many are in progress. `cap` is the option that refuses it. */
function busyProblem(cap) {
  const kind = cap === 'maxPerClient' ? QUOTA_EXCEEDED : REDUCED_CAPACITY;
  return problem(kind, { detail: BUSY_DETAILS[cap], retryAfterMs: BUSY_RETRY_MS, policies: [cap] });
}

/** For a request that was shed, as the server has more than it can answer in time. */
function overloadProblem() {
  const choices = MOST_OVERLOAD_RETRY_S - LEAST_OVERLOAD_RETRY_S + 1;
  const retryAfter = LEAST_OVERLOAD_RETRY_S + Math.floor(Math.random() * choices);
  return problem(REDUCED_CAPACITY, {
    detail: `The server has more requests than it can answer. Try again in ${retryAfter} s.`,
    retryAfterMs: 1000 * retryAfter,
    policies: ['overload'],
  });
}

/** For a request that arrives while the process shuts down. Another instance may serve it. */
function shutdownProblem() {
  return problem(REDUCED_CAPACITY, {
    detail: 'The server is shutting down.',
    retryAfterMs: SHUTDOWN_RETRY_MS,
    policies: [],
  });
}

/** For a request whose head has not arrived whole when the server stops waiting for it. */
function headTimeoutProblem() {
  return {
    type: 'about:blank',
    title: 'Request Timeout',
    status: 408,
    detail: 'The server is shutting down, and the request did not arrive in time.',
    retryAfterMs: SHUTDOWN_RETRY_MS,
    'violated-policies': [],
  };
}

/** For a client that `policy` has banned. The reason is not disclosed to it. */
function banProblem({ retryAfterMs, policy }) {
  const detail = Number.isFinite(retryAfterMs)
    ? `This client is banned. Try again in ${seconds(retryAfterMs)} s.`
    : 'This client is banned.';
  return problem(ABNORMAL_USAGE, { detail, retryAfterMs, policies: [policy] });
}

/** For a connection that its client has reset before its address was known. */
function addressProblem() {
  const detail = 'The connection has no remote address.';
  return { ...BAD_REQUEST, detail, retryAfterMs: null, 'violated-policies': [] };
}

/** For a request that could not be decided, as a function of the application failed. */
function internalErrorProblem() {
  const detail = 'The server could not decide about the request.';
  return { ...INTERNAL_ERROR, detail, retryAfterMs: null, 'violated-policies': [] };
}

/** Whole seconds for header fields, rounded up so that no client retries too early. */
function seconds(ms) {
  return Math.ceil(ms / 1000);
}

module.exports = {
  PROBLEM_MEDIA_TYPE,
  addressProblem,
  banProblem,
  busyProblem,
  connectionProblem,
  degradedProblem,
  headTimeoutProblem,
  internalErrorProblem,
  keyProblem,
  overloadProblem,
  quotaProblem,
  seconds,
  shutdownProblem,
};
