'use strict';

const { fitted } = require('../runtime/fitted-name');

/** The names of the semaphores of a guard: of all requests, and of each client's. */
function semaphoreNames(name) {
  return { max: fitted(`${name}:concurrency`), maxPerClient: fitted(`${name}:concurrency per client`) };
}

module.exports = { semaphoreNames };
