'use strict';

const { invalidOption } = require('../errors');
const { ACCEPTED_NAME, integer, isName, object, owned } = require('../options');

/**
 * What an answer means about its client. A refusal by quota is no failure: whoever is only fast would be
 * banned for what the limit is there to hold.
 */
const DEFAULTS = {
  __proto__: null,
  401: { event: 'unauthorized', weight: 1 },
  403: { event: 'forbidden', weight: 1 },
  404: { event: 'not-found', weight: 1 },
  429: { event: 'rate-limited', weight: 0 },
};

const STATUS = /^[1-5]\d\d$/;
const ACCEPTED = 'false, the name of an event, or { event, weight? }';

const eventName = (value, option) => {
  if (isName(value)) return value;
  throw invalidOption(option, value, ACCEPTED_NAME);
};
const checkEntry = object({ event: eventName, weight: integer(0) }, ['event']);

/** From status to `{ event, weight }`, by status; none for `false`. */
function recordOption(value, option) {
  if (value === false) return owned();
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalidOption(option, value, 'false, or an object of entries by status');
  }
  const entries = owned(DEFAULTS);
  for (const [status, entry] of Object.entries(value)) {
    if (!STATUS.test(status)) throw invalidOption(`${option} status`, status, 'a status from 100 to 599');
    if (entry === false) delete entries[status];
    else if (entry !== undefined) entries[status] = withDefaults(status, entry, `${option}[${status}]`);
  }
  return entries;
}

function withDefaults(status, entry, option) {
  const weight = DEFAULTS[status]?.weight ?? 1;
  if (typeof entry === 'string') return { event: eventName(entry, option), weight };
  if (entry === null || typeof entry !== 'object') throw invalidOption(option, entry, ACCEPTED);
  const { event, weight: given = weight } = checkEntry(entry, option);
  return { event, weight: given };
}

module.exports = { DEFAULT_RECORD: DEFAULTS, recordOption };
