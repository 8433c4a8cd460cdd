'use strict';

/** No options. Without a prototype, so that nothing is read from a polluted `Object.prototype`. */
const NONE = Object.freeze(Object.create(null));

module.exports = { NONE };
