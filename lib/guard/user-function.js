'use strict';

function isThenable(value) {
  return typeof value?.then === 'function';
}

/** Calls `next` with what `value` is or resolves to: at once, and without a promise, when it is none. */
function after(value, next) {
  return isThenable(value) ? Promise.resolve(value).then(next) : next(value);
}

/**
 * Runs `ask` and hands what it returns, or its promise resolves to, to `done`; what is thrown goes to `fail`
 * unchanged. A falsy error is replaced: frameworks take it for none, and `throw undefined` would let a
 * request pass undecided.
 */
function settle(ask, done, fail) {
  const failed = (error) => fail(error || new Error(`A function given to sluice threw ${String(error)}`));
  let value;
  try {
    value = ask();
  } catch (error) {
    return failed(error);
  }
  return isThenable(value) ? void Promise.resolve(value).then(done).catch(failed) : done(value);
}

module.exports = { after, settle };
