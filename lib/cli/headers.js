'use strict';

const { misuse } = require('./failure');

const HEADER = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([^\r\n]*)$/;

/**
 * The headers for a url: those of the variable `SLUICE_HEADER`, one a line, and those of `--header`, which go first. No
 * message contains a value, as values are credentials.
 */
function headersOf(given = [], env = {}) {
  const lines = (env.SLUICE_HEADER ?? '').split(/\r?\n/).filter((line) => line !== '');
  return Object.fromEntries([
    ...lines.map((line) => headerOf(line, 'a line of SLUICE_HEADER')),
    ...given.map((line) => headerOf(line, '--header')),
  ]);
}

function headerOf(line, what) {
  const [, name, value] = HEADER.exec(line) ?? [];
  if (name !== undefined) return [name.toLowerCase(), value.trim()];
  throw misuse(
    `${what} is no header; accepted: a name, a colon and a value, such as "Authorization: Bearer …"`,
  );
}

module.exports = { headersOf };
