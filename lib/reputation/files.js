'use strict';

const { fileURLToPath } = require('node:url');
const { getSystemErrorMap } = require('node:util');
const { invalidOption } = require('../runtime/errors');

/** The path of a file, given as a string or a file URL. */
function pathOf(path, option) {
  const file = path instanceof URL ? pathOfUrl(path) : path;
  if (typeof file === 'string' && file !== '' && !file.includes('\0')) return file;
  const given = path instanceof URL ? path.href : path;
  throw invalidOption(option, given, 'the path of a file as a string, or a file URL');
}

/** `undefined` for any other URL. */
function pathOfUrl(url) {
  try {
    return fileURLToPath(url);
  } catch {
    return undefined;
  }
}

/** The error that `node:fs` would throw. */
function systemError({ errno, syscall }, path) {
  const [code, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  const error = new Error(`${code}: ${text}, ${syscall} '${path}'`);
  return Object.assign(error, { errno: -errno, code, syscall, path });
}

module.exports = { pathOf, systemError };
