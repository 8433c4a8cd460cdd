'use strict';

const { hasName } = require('../runtime/errors');
const { native } = require('../runtime/native');
const { warnOfThrow } = require('../runtime/warn-of-throw');

const { permitFailure, permitSuccess, releasePermit } = native;

const FAILURE = 'failure';
const SUCCESS = 'success';
/** Neither success nor failure: the call is not counted, and the place of a trial is free. */
const IGNORED = 'ignored';

/** How a call that ended with an error counts. Never throws. */
function outcomeOf(source, error) {
  if (hasName(error, 'AbortError')) return IGNORED;
  return source.errorFilter === undefined ? FAILURE : filtered(source, error);
}

/** How a call counts whose caller aborted it. A `TimeoutError` is a deadline of the caller: the target was too slow. */
function outcomeOfAbort(reason) {
  return hasName(reason, 'TimeoutError') ? FAILURE : IGNORED;
}

/** Reports the permit that was left for native code. */
function reportLeft(outcome) {
  if (outcome === FAILURE) permitFailure();
  else if (outcome === SUCCESS) permitSuccess();
  else releasePermit();
}

/** Where the filter throws or returns a promise, the call counts as a failure. */
function filtered({ name, errorFilter }, error) {
  const failsWith = (thrown) =>
    warnOfThrow(
      'SLUICE_ERROR_FILTER',
      `CircuitBreaker "${name}" errorFilter`,
      'such calls count as failures',
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

module.exports = { FAILURE, outcomeOf, outcomeOfAbort, reportLeft, SUCCESS };
