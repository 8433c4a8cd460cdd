'use strict';

const { Guard } = require('./guard/guard');

/** Creates the guard of this name or attaches to it, as middleware for Express 4 and 5. */
function sluice(options) {
  return new Guard('sluice/express', options).express();
}

module.exports = sluice;
