'use strict';

const { invalidOption } = require('./errors');
const { OPTIONS } = require('./layouts');
const {
  boolean,
  checkOptions,
  duration,
  integer,
  oneOf,
  parseDuration,
  requireOptions,
  strings,
} = require('./schema');

const CHECKERS = {
  integer: ({ least, most }) => integer(least, most),
  duration: ({ least }) =>
    least === 1 ? duration : (value, option) => parseDuration(value, option, { least }),
  number: ({ least, most, isAbove, words }) => numberFrom(least, most, isAbove, words),
  boolean: () => boolean,
  oneOf: ({ choices }) => oneOf(...choices),
  texts: () => strings,
};

function numberFrom(least, most, isAbove, accepted) {
  return (value, option) => {
    if (typeof value === 'number' && value <= most && (isAbove ? value > least : value >= least))
      return value;
    throw invalidOption(option, value, accepted);
  };
}

/**
 * The schema of the options that Rust declares for `owner`, in their order. `others` has the checkers of options whose
 * shape only JavaScript knows, and of those that stay in JavaScript.
 */
function schemaOf(owner, others) {
  const declared = Object.entries(OPTIONS[owner]).map(([name, option]) => [
    name,
    others?.[name] ?? CHECKERS[option.accepts](option),
  ]);
  return { ...Object.fromEntries(declared), ...others };
}

/** The names of the options that must be given. */
function requiredOf(owner) {
  return Object.keys(OPTIONS[owner]).filter((name) => OPTIONS[owner][name].required);
}

/** Options by a schema of `schemaOf`, with all that are required. */
function checkDeclared(owner, options, schema) {
  const checked = checkOptions(owner, options, schema);
  requireOptions(owner, checked, requiredOf(owner));
  return checked;
}

module.exports = { checkDeclared, requiredOf, schemaOf };
