'use strict';

const { PROBLEM_MEDIA_TYPE } = require('../http/problem');

/** Sends a problem, as JSON, by Node's response. The status is set. */
function sendProblem(body, req, res) {
  res.setHeader('Content-Type', PROBLEM_MEDIA_TYPE);
  res.setHeader('Content-Length', Buffer.byteLength(body));
  res.end(req.method === 'HEAD' ? undefined : body);
}

module.exports = { sendProblem };
