'use strict';

const { internalErrorProblem } = require('../http/problem');
const { invalid } = require('../runtime/errors');
const { warnOfThrow } = require('../runtime/warn-of-throw');
const { expressMiddleware } = require('./express-middleware');
const { sendProblem } = require('./send-problem');

/**
 * A guard before listeners of Node's own servers; `.guard` is the guard. `protect(listener)` is a listener that calls
 * `listener` for admitted requests; `protect(req, res, next)` is the guard as middleware.
 */
function httpListener(guard) {
  const middleware = expressMiddleware(guard);

  function protect(first, res, next) {
    return res === undefined ? before(middleware, first) : middleware(first, res, next);
  }

  return Object.assign(protect, { guard });
}

function before(middleware, listener) {
  if (typeof listener !== 'function') {
    throw invalid('INVALID_VALUE', 'listener', listener, 'a function (req, res)');
  }
  return function guarded(req, res) {
    middleware(req, res, (error) => {
      if (error === undefined || error === null) runListener(listener, this, req, res);
      else answerError(middleware.guard, error, req, res);
    });
  };
}

/** An exception of the listener is thrown where the guard does not catch it, also where a decision came late. */
function runListener(listener, server, req, res) {
  try {
    listener.call(server, req, res);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

/** A server of Node has no error handler. An exception here would end the process, so a request could. */
function answerError({ name }, error, req, res) {
  const what = `A function given to sluice/http ${JSON.stringify(name)}`;
  warnOfThrow('SLUICE_FUNCTION_THREW', what, 'such requests are answered with 500', error);
  if (res.headersSent) return res.destroy();
  const problem = internalErrorProblem();
  res.statusCode = problem.status;
  sendProblem(JSON.stringify(problem), req, res);
}

module.exports = { httpListener };
