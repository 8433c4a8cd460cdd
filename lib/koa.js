'use strict';

const { Guard } = require('./guard/guard');
const { koaMiddleware } = require('./guard/koa-middleware');

/** Creates the guard of this name or attaches to it, as middleware for Koa 2 and 3. */
function sluice(options) {
  return koaMiddleware(new Guard('sluice/koa', options));
}

module.exports = sluice;
