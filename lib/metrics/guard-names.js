'use strict';

const { invalidOption } = require('../runtime/errors');
const { native } = require('../runtime/native');

const ACCEPTED = 'an array of guards, or of names of guards that exist';

/** A checker for schemas: the names of guards that are given as objects or by name. */
function guardNames(value, option) {
  if (!Array.isArray(value)) throw invalidOption(option, value, ACCEPTED);
  const known = native.guardNames();
  // A copy has no holes.
  const names = [...value].map((one) => one?.name ?? one);
  const unknown = names.findIndex((name) => !known.includes(name));
  if (unknown >= 0) throw invalidOption(option, names[unknown], ACCEPTED);
  return [...new Set(names)];
}

module.exports = { guardNames };
