'use strict';

const { Guard } = require('./guard/guard');
const { honoMiddleware } = require('./guard/hono-middleware');

/** Creates the guard of this name or attaches to it, as middleware for Hono 4 on Node.js. */
function sluice(options) {
  return honoMiddleware(new Guard('sluice/hono', options));
}

module.exports = sluice;
