'use strict';

const { invalid, invalidOption } = require('../runtime/errors');
const { ACCEPTED_NAME, isName } = require('../runtime/schema');

/** One request is told to a reputation or a monitor once, however many guards of theirs it met. */
const marks = new Map();

function markOf(kind, { name }) {
  const key = `${kind} ${name}`;
  if (!marks.has(key)) marks.set(key, Symbol(`sluice.recorded ${key}`));
  return marks.get(key);
}

/** Where a request that met a route with `login: true` says so, to all guards that record its answer. */
const kLogin = Symbol('sluice.login');

function markLogin(incoming) {
  incoming[kLogin] = true;
}

/** Whether an answer can be about credentials at all: a page that polls without any is no guess. */
function hasCredentials(incoming) {
  return incoming[kLogin] === true || Boolean(incoming.headers?.authorization);
}

/** Tells the reputation and the monitor what clients did: what answers say, and what the application knows. */
class Recorder {
  #counts;
  #entries;
  #recipients = [];
  /** Whether anything would be told of an answer. */
  hearsAnswers;

  /** `reputation` and `monitor` may be null; `entries` by status. */
  constructor({ reputation, monitor, entries, counts }) {
    this.#counts = counts;
    this.#entries = entries;
    if (monitor !== null)
      this.#add('monitor', monitor, ({ event, address, detail }) => {
        monitor.record(event, address, detail);
        return true;
      });
    if (reputation !== null)
      this.#add('reputation', reputation, ({ event, address, weight }) => {
        if (weight > 0) reputation.recordFailure(address, { weight, reason: event });
        return weight > 0;
      });
    this.hearsAnswers = this.#recipients.length > 0 && Object.keys(entries).length > 0;
  }

  /** What an answer means, unless the application has said something about its request. */
  answered(incoming, address, status) {
    const entry = this.#entries[status];
    if (entry === undefined || address === undefined) return;
    if (entry.when === 'credentials' && !hasCredentials(incoming)) return;
    try {
      this.#tell(incoming, { ...entry, address, detail: pathOf(incoming) }, { once: true });
    } catch (error) {
      this.#counts.fault(error);
    }
  }

  /** An event of the application's own. What is no event is its mistake; else as above. */
  record(incoming, address, { event, detail, weight }) {
    if (!isName(event)) throw invalid('INVALID_VALUE', 'event', event, ACCEPTED_NAME);
    if (detail !== undefined && typeof detail !== 'string') {
      throw invalid('INVALID_VALUE', 'detail', detail, 'a string');
    }
    if (!Number.isSafeInteger(weight) || weight < 0) {
      throw invalidOption('record weight', weight, 'an integer from 0');
    }
    if (address === undefined) return;
    try {
      this.#tell(incoming, { event, address, detail, weight }, { once: false });
    } catch (error) {
      if (error?.code === 'ERR_SLUICE_INVALID_VALUE') throw error;
      this.#counts.fault(error);
    }
  }

  #add(kind, recipient, tell) {
    this.#recipients.push({ mark: markOf(kind, recipient), tell });
  }

  #tell(incoming, told, { once }) {
    let isNews = false;
    for (const { mark, tell } of this.#recipients) {
      if (once && incoming[mark]) continue;
      incoming[mark] = true;
      if (tell(told)) isNews = true;
    }
    if (isNews) this.#counts.count('recorded');
  }
}

/** Without its query, so that a scanner's paths are as many as it tried. */
function pathOf({ originalUrl, url }) {
  const target = originalUrl ?? url ?? '';
  const end = target.search(/[?#]/);
  return end < 0 ? target : target.slice(0, end);
}

module.exports = { Recorder, markLogin };
