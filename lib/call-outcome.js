'use strict';

const { hasName } = require('./errors');
const { native } = require('./native');
const { warnOfThrow } = require('./warn-of-throw');

const FAILURE = 'failure';
const SUCCESS = 'success';
/** Neither success nor failure: a trial's place is free again, and nothing is counted. */
const IGNORED = 'ignored';

/** How a call that ended with an error counts. Never throws. */
function outcomeOf(source, error) {
  if (hasName(error, 'AbortError')) return IGNORED;
  return source.errorFilter === undefined ? FAILURE : filtered(source, error);
}

/** How a call counts whose caller gave it up: one whose time was over says that the peer is slow. */
function outcomeOfAbort(reason) {
  return hasName(reason, 'TimeoutError') ? FAILURE : IGNORED;
}

function report({ handle }, ticket, startedAt, outcome) {
  if (outcome === FAILURE) native.permitFailure(handle, ticket, startedAt);
  else if (outcome === SUCCESS) native.permitSuccess(handle, ticket, startedAt);
  else native.releasePermit(handle, ticket);
}

/** Without an answer of the filter the error is what it looks like: a failure. */
function filtered({ name, errorFilter }, error) {
  const failsWith = (thrown) =>
    warnOfThrow(
      'SLUICE_ERROR_FILTER',
      `CircuitBreaker "${name}" errorFilter`,
      'calls that it does not judge count as failures',
      thrown,
    );
  try {
    const answer = errorFilter(error);
    if (answer === 'ignore') return IGNORED;
    if (typeof answer?.then !== 'function') return answer ? SUCCESS : FAILURE;
    Promise.resolve(answer).catch(() => {});
    failsWith(new TypeError('it returned a promise; accepted: true, false or "ignore"'));
  } catch (thrown) {
    failsWith(thrown);
  }
  return FAILURE;
}

module.exports = { outcomeOf, outcomeOfAbort, report };
