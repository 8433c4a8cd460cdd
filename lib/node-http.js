'use strict';

const { Guard } = require('./guard/guard');
const { httpListener } = require('./guard/http-listener');

/** Creates the guard of this name or attaches to it, for listeners of `node:http`, `node:https` and `node:http2`. */
function sluice(options) {
  return httpListener(new Guard('sluice/http', options));
}

module.exports = sluice;
