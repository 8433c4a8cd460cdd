'use strict';

/** What the guard uses of a semaphore. */
module.exports = { kTryHold: Symbol('sluice.tryHold') };
