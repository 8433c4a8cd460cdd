'use strict';

/** Whether a browser asks by this request if a script may send another. */
function isPreflight({ method, headers }) {
  return (
    method === 'OPTIONS' &&
    headers.origin !== undefined &&
    headers['access-control-request-method'] !== undefined
  );
}

module.exports = { isPreflight };
