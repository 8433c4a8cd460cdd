'use strict';

const { schemaOf } = require('../runtime/declared-options');
const { invalidOption } = require('../runtime/errors');
const { OPTIONS } = require('../runtime/layouts');
const { ACCEPTED_NAME, isName, object, owned } = require('../runtime/schema');

const { status: STATUS, weight: WEIGHT, when: WHEN } = OPTIONS['guard record'];

/**
 * What is recorded of answers by default. 401 and 403 are failures only where the request carried credentials: a page
 * that polls with an expired session guesses nothing. 404 is no failure, as customers and crawlers follow old links; nor
 * is 429, which would ban clients for exceeding a quota.
 */
const DEFAULTS = {
  __proto__: null,
  401: { event: 'unauthorized', weight: 1, when: 'credentials' },
  403: { event: 'forbidden', weight: 1, when: 'credentials' },
  404: { event: 'not-found', weight: 0, when: 'always' },
  429: { event: 'rate-limited', weight: 0, when: 'always' },
};

const STATUS_TEXT = /^\d{3}$/;
const ACCEPTED = 'false, the name of an event, or { event, weight?, when? }';

const eventName = (value, option) => {
  if (isName(value)) return value;
  throw invalidOption(option, value, ACCEPTED_NAME);
};
/** The status is the key of the entry. */
const { status: _, ...ENTRY } = schemaOf('guard record', { event: eventName });
const checkEntry = object(ENTRY, ['event']);

const isStatus = (text) => STATUS_TEXT.test(text) && text >= STATUS.least && text <= STATUS.most;

/** Entries `{ event, weight, when }` by status; none for `false`. */
function recordOption(value, option) {
  if (value === false) return owned();
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw invalidOption(option, value, 'false, or an object of entries by status');
  }
  const entries = owned(DEFAULTS);
  for (const [status, entry] of Object.entries(value)) {
    if (!isStatus(status)) {
      throw invalidOption(`${option} status`, status, `a status from ${STATUS.least} to ${STATUS.most}`);
    }
    if (entry === false) delete entries[status];
    else if (entry !== undefined) entries[status] = withDefaults(status, entry, `${option}[${status}]`);
  }
  return entries;
}

function withDefaults(status, entry, option) {
  const { weight = WEIGHT.default, when = WHEN.default } = DEFAULTS[status] ?? owned();
  if (typeof entry === 'string') return { event: eventName(entry, option), weight, when };
  if (entry === null || typeof entry !== 'object') throw invalidOption(option, entry, ACCEPTED);
  const given = checkEntry(entry, option);
  return { event: given.event, weight: given.weight ?? weight, when: given.when ?? when };
}

module.exports = { DEFAULT_RECORD: DEFAULTS, recordOption };
