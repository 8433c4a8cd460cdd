'use strict';

/** Whether the request is a CORS preflight. */
function isPreflight({ method, headers }) {
  return (
    method === 'OPTIONS' &&
    headers.origin !== undefined &&
    headers['access-control-request-method'] !== undefined
  );
}

module.exports = { isPreflight };
