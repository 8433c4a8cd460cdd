'use strict';

const { SluiceError } = require('../runtime/errors');

/** How long a server that keeps counts is awaited for one answer to an operator. */
const SERVER_MS = 4_000;

/** As `answer`, but rejects where it takes too long: limiters may await their server for a minute. */
async function inTime(answer) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(lateness()), SERVER_MS);
    timer.unref();
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function lateness() {
  const why = `the server of the scope did not answer within ${SERVER_MS} ms`;
  return new SluiceError('SCOPE_UNAVAILABLE', `${why}, so it may have been done or not`);
}

module.exports = { inTime };
