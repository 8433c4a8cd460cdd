'use strict';

/** What the guard and observation use of a semaphore. */
module.exports = { kCheckOpen: Symbol('sluice.checkOpen'), kTryHold: Symbol('sluice.tryHold') };
