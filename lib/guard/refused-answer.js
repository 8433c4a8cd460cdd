'use strict';

const { drainRequest } = require('../http/drain-request');
const { removePageHeaders } = require('./page-headers');

/**
 * Prepares the answer to a refused request before it is written: nothing of the page is left on it, and its client can read
 * it while it still sends a body, which is read within the bounds of `refusedBody`.
 */
function prepareRefusal(incoming, response = responseTo(incoming), refusedBody) {
  if (response?.headersSent) return;
  if (response !== undefined) removePageHeaders(response);
  if (response !== undefined || incoming.stream !== undefined) drainRequest(incoming, response, refusedBody);
}

/**
 * Node's response to a request that came without it. Node has no public name for it; where the private one should go,
 * `check(req, res)` tells it.
 */
function responseTo(incoming) {
  const response = incoming.socket?._httpMessage;
  return response?.req === incoming ? response : undefined;
}

module.exports = { prepareRefusal };
