'use strict';

/** The functions of the promise that `keepFunctions` was given to last. They are read at once. */
const latest = { resolve: undefined, reject: undefined };

/** The executor of promises that are made by the thousand: one function for all of them. */
function keepFunctions(resolve, reject) {
  latest.resolve = resolve;
  latest.reject = reject;
}

module.exports = { keepFunctions, latest };
