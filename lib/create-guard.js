'use strict';

const { invalidOption } = require('./errors');
const { Guard } = require('./guard/guard');

/** The guard of this name: the first call in the process creates it, later ones attach. */
function createGuard(name = 'default', options = {}) {
  if (options?.name !== undefined) {
    throw invalidOption('createGuard options name', options.name, 'nothing: the name is the first argument');
  }
  return new Guard('createGuard', isPlain(options) ? { ...options, name } : options);
}

/** What is no object of options is for the guard to refuse. */
function isPlain(options) {
  return typeof options === 'object' && options !== null && !Array.isArray(options);
}

module.exports = { createGuard };
