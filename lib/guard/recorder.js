'use strict';

const { invalid, invalidOption } = require('../runtime/errors');
const { ACCEPTED_NAME, isName } = require('../runtime/schema');

/** Marks by which an answer is recorded once in each reputation and monitor, however many guards share them. */
const marks = new Map();

function markOf(kind, { name }) {
  const key = `${kind} ${name}`;
  if (!marks.has(key)) marks.set(key, Symbol(`sluice.recorded ${key}`));
  return marks.get(key);
}

/** Set on a request whose route has `login: true`, for all guards that record its answer. */
const kLogin = Symbol('sluice.login');

function markLogin(incoming) {
  incoming[kLogin] = true;
}

/** Whether the request carried credentials: without any, its answer says nothing about them. */
function hasCredentials(incoming) {
  return incoming[kLogin] === true || Boolean(incoming.headers?.authorization);
}

/** Records in the reputation and the monitor what answers say about clients, and what the application reports. */
class Recorder {
  #counts;
  #entries;
  #recipients = [];
  /** Whether answers are recorded at all. */
  recordsAnswers;

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
    this.recordsAnswers = this.#recipients.length > 0 && Object.keys(entries).length > 0;
  }

  /** Records what an answer means, unless the application has reported an event of its request. */
  answered(incoming, address, status) {
    const entry = this.#entries[status];
    if (entry === undefined || address === undefined) return;
    if (entry.when === 'credentials' && !hasCredentials(incoming)) return;
    try {
      this.#write(incoming, { ...entry, address, detail: pathOf(incoming) }, { once: true });
    } catch (error) {
      this.#counts.fault(error);
    }
  }

  /**
   * Records an event of the application's own.
   *
   * @throws {SluiceError} `INVALID_VALUE` for the event or the detail, `INVALID_OPTION` for the weight.
   */
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
      this.#write(incoming, { event, address, detail, weight }, { once: false });
    } catch (error) {
      if (error?.code === 'ERR_SLUICE_INVALID_VALUE') throw error;
      this.#counts.fault(error);
    }
  }

  #add(kind, recipient, write) {
    this.#recipients.push({ mark: markOf(kind, recipient), write });
  }

  #write(incoming, entry, { once }) {
    let isRecorded = false;
    for (const { mark, write } of this.#recipients) {
      if (once && incoming[mark]) continue;
      incoming[mark] = true;
      if (write(entry)) isRecorded = true;
    }
    if (isRecorded) this.#counts.count('recorded');
  }
}

/** The path without its query, so that a scanner is counted by the paths that it tries. */
function pathOf({ originalUrl, url }) {
  const target = originalUrl ?? url ?? '';
  const end = target.search(/[?#]/);
  return end < 0 ? target : target.slice(0, end);
}

module.exports = { Recorder, markLogin };
