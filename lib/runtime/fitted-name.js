'use strict';

const { createHash } = require('node:crypto');

/** Most characters of a name. */
const NAME_LENGTH = 128;

/** Cuts a text that is too long for a name, or no valid UTF-16, and appends a digest that makes it unique. */
function fitted(name) {
  if (name.length <= NAME_LENGTH && name.isWellFormed()) return name;
  const digest = `#${createHash('sha256').update(name, 'utf16le').digest('hex').slice(0, 16)}`;
  return name.slice(0, NAME_LENGTH - digest.length).toWellFormed() + digest;
}

module.exports = { fitted };
