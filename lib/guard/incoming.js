'use strict';

/** Node's request behind Fastify's; Express's is Node's own. */
function incomingOf(req) {
  return req.raw ?? req;
}

module.exports = { incomingOf };
