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
 * Runs `run(request, response, next)` and passes what it returns, or its promise resolves to, to
 * `done(value, request, response, next)`; exceptions go to `fail(error, request, response, next)` unchanged. The three
 * functions are created once: closures or objects for each request cost more.
 */
function settle(steps, request, response, next) {
  let value;
  let isLater;
  try {
    value = steps.run(request, response, next);
    isLater = isThenable(value);
  } catch (error) {
    return steps.fail(toError(error), request, response, next);
  }
  if (isLater) settleLater(value, steps, [request, response, next]);
  else steps.done(value, request, response, next);
}

function settleLater(promise, { done, fail }, given) {
  promiseOf(promise)
    .then((value) => done(value, ...given))
    .catch((error) => fail(toError(error), ...given));
}

/**
 * What was thrown; a falsy error is replaced: frameworks take it for no error, so `throw undefined` would let a request
 * pass undecided.
 */
function toError(thrown) {
  return thrown || new Error(`A function given to sluice threw ${String(thrown)}`);
}

/** What `run()` resolves to; its exception or rejection unchanged, but never falsy. */
async function settled(run) {
  try {
    return await run();
  } catch (thrown) {
    throw toError(thrown);
  }
}

module.exports = { after, settle, settled };
