'use strict';

const { invalidOption } = require('../runtime/errors');
const { Guard } = require('./guard');
const { owned } = require('../runtime/schema');

/** The guard of this name: the first call in the process creates it, later calls attach. */
function createGuard(name = 'default', options = {}) {
  if (!isPlain(options)) return new Guard('createGuard', options);
  const own = owned(options);
  if (own.name !== undefined) {
    throw invalidOption('createGuard options name', own.name, 'nothing: the name is the first argument');
  }
  return new Guard('createGuard', owned(own, { name }));
}

/** Other values are left to the guard, which refuses them. */
function isPlain(options) {
  return typeof options === 'object' && options !== null && !Array.isArray(options);
}

module.exports = { createGuard };
