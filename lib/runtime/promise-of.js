'use strict';

/** A `then` that is not the language's may throw, or call back twice or at once: a promise in front of it bears that. */
function promiseOf(result) {
  if (result instanceof Promise && result.then === Promise.prototype.then) return result;
  return new Promise((resolve) => resolve(result));
}

module.exports = { promiseOf };
