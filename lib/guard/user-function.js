'use strict';

const { promiseOf } = require('../runtime/promise-of');

function isThenable(value) {
  return typeof value?.then === 'function';
}

/** Calls `next` with the value: at once where `value` is no promise, else once it has resolved. */
function after(value, next) {
  return isThenable(value) ? promiseOf(value).then(next) : next(value);
}

/**
 * Runs `run(context)` and passes what it returns, or its promise resolves to, to `done(value, context)`; exceptions go to
 * `fail(error, context)` unchanged. The three functions are created once: closures for each request cost more.
 */
function settle({ run, done, fail }, context) {
  let value;
  let isLater;
  try {
    value = run(context);
    isLater = isThenable(value);
  } catch (error) {
    return fail(toError(error), context);
  }
  if (isLater) settleLater(value, { done, fail }, context);
  else done(value, context);
}

function settleLater(promise, { done, fail }, context) {
  promiseOf(promise)
    .then((value) => done(value, context))
    .catch((error) => fail(toError(error), context));
}

/**
 * What was thrown; a falsy error is replaced: frameworks take it for no error, so `throw undefined` would let a request
 * pass undecided.
 */
function toError(thrown) {
  return thrown || new Error(`A function given to sluice threw ${String(thrown)}`);
}

module.exports = { after, settle };
