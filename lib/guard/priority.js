'use strict';

const { ACCEPTED_PRIORITY, codeOf } = require('../load-shedder/priorities');
const { invalidOption } = require('../runtime/errors');
const { promiseOf } = require('../runtime/promise-of');

const DEFAULT_PRIORITY = 'normal';

/** Of requests that no bound is for. */
const EXEMPT = 'exempt';

/** On a request: `{ by, priority }`, what a function has answered for it. */
const kPriority = Symbol('sluice.priority');

/** The option `priority`: one of the priorities, or a function of the request that returns one. */
function priorityOption(value, option) {
  if (typeof value === 'function' || codeOf(value) !== undefined) return value;
  throw invalidOption(option, value, `${ACCEPTED_PRIORITY}, or a function that returns one`);
}

/**
 * The priority of a request, by the option of its rule. A function is called with `request` once for each request. What it
 * throws is thrown, and so is an error for what is no priority.
 */
function priorityOf(option, request, incoming) {
  if (typeof option !== 'function') return option;
  const known = incoming[kPriority];
  if (known?.by === option) return known.priority;
  const priority = option(request);
  if (codeOf(priority) === undefined) throw notAPriority(priority);
  incoming[kPriority] = { by: option, priority };
  return priority;
}

/** Whether some requests matter more than others, by the option of a guard or a route. */
function ranksRequests(option) {
  return option !== undefined && option !== EXEMPT;
}

function notAPriority(returned) {
  // A promise is none, but its rejection must not end the process.
  if (typeof returned?.then === 'function') promiseOf(returned).catch(() => {});
  return invalidOption('what priority returned', returned, ACCEPTED_PRIORITY);
}

module.exports = { DEFAULT_PRIORITY, EXEMPT, priorityOf, priorityOption, ranksRequests };
