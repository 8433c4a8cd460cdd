'use strict';

const { invalidOption } = require('../runtime/errors');
const { ACCEPTED_NAME, integer, isName, object, oneOf, owned } = require('../runtime/schema');

/**
 * What an answer means about its client. 401 and 403 count where the request carried credentials: a page that polls
 * with an expired session guesses nothing. 404 is no failure, as old links are followed by customers and crawlers; nor
 * is a refusal by quota, which would ban a client for what the limit is there to hold.
 */
const DEFAULTS = {
  __proto__: null,
  401: { event: 'unauthorized', weight: 1, when: 'credentials' },
  403: { event: 'forbidden', weight: 1, when: 'credentials' },
  404: { event: 'not-found', weight: 0, when: 'always' },
  429: { event: 'rate-limited', weight: 0, when: 'always' },
};

const STATUS = /^[1-5]\d\d$/;
const ACCEPTED = 'false, the name of an event, or { event, weight?, when? }';

const eventName = (value, option) => {
  if (isName(value)) return value;
  throw invalidOption(option, value, ACCEPTED_NAME);
};
const checkEntry = object({ event: eventName, weight: integer(0), when: oneOf('credentials', 'always') }, [
  'event',
]);

/** From status to `{ event, weight, when }`, by status; none for `false`. */
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
  const { weight = 1, when = 'always' } = DEFAULTS[status] ?? owned();
  if (typeof entry === 'string') return { event: eventName(entry, option), weight, when };
  if (entry === null || typeof entry !== 'object') throw invalidOption(option, entry, ACCEPTED);
  const given = checkEntry(entry, option);
  return { event: given.event, weight: given.weight ?? weight, when: given.when ?? when };
}

module.exports = { DEFAULT_RECORD: DEFAULTS, recordOption };
