'use strict';

const { Guard } = require('./guard/guard');

/** A guard of its own, or one more use of the guard of this name, as middleware for Express 4 and 5. */
function sluice(options) {
  return new Guard('sluice/express', options).express();
}

module.exports = sluice;
