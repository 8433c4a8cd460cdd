'use strict';

const { drainRequest } = require('../http/drain-request');
const { removePageHeaders } = require('./page-headers');

/**
 * Prepares the answer to a refused request before it is written: removes headers of the page, and reads the request's body
 * within the bounds of `refusedBody`, so that a client that is still sending can read the answer.
 */
function prepareRefusal(incoming, response = responseTo(incoming), refusedBody) {
  if (response?.headersSent) return;
  if (response !== undefined) removePageHeaders(response);
  if (response !== undefined || incoming.stream !== undefined) drainRequest(incoming, response, refusedBody);
}

/**
 * Node's response to a request, by a private property: Node has no public one. Should it go, `check(req, res)` gives the
 * response.
 */
function responseTo(incoming) {
  const response = incoming.socket?._httpMessage;
  return response?.req === incoming ? response : undefined;
}

module.exports = { prepareRefusal };
