'use strict';

const { invalid } = require('../runtime/errors');

const ACCEPTED_REQUEST = 'a request of Node.js, Express or Fastify';
const ACCEPTED_RESPONSE = 'a response of Node.js or Express, or a reply of Fastify';

/** Node's request behind Fastify's; Express's is Node's own. */
function incomingOf(req) {
  return req.raw ?? req;
}

/** @throws {SluiceError} `INVALID_VALUE` for a value that is no object. */
function checkRequest(req) {
  if (!isObject(req)) throw invalid('INVALID_VALUE', 'request', req, ACCEPTED_REQUEST);
}

/** @throws {SluiceError} `INVALID_VALUE` for a value that is no object. */
function checkResponse(res) {
  if (!isObject(res)) throw invalid('INVALID_VALUE', 'response', res, ACCEPTED_RESPONSE);
}

function isObject(value) {
  return typeof value === 'object' && value !== null;
}

module.exports = { checkRequest, checkResponse, incomingOf };
