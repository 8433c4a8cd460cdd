'use strict';

const { invalid } = require('../runtime/errors');
const { CLIENT_COUNTS, CLIENT_EVENTS, MONITOR_CALL } = require('../runtime/layouts');
const { handlesOf, integers, native, noAnswer, numbers } = require('../runtime/native');
const { openNamed } = require('../runtime/on-mismatch');
const { ACCEPTED_NAME, checkName, checkOptions, integer, isName, owned } = require('../runtime/schema');
const { publishEvents } = require('../observation/channels');
const { sharedOptions } = require('./options');
const { SubscribedListeners } = require('../runtime/subscribed-listeners');

const HISTORY_SCHEMA = { ip: (value) => value, event: (value) => value, limit: integer(1) };
const TOP_SCHEMA = { limit: integer(1) };
const DEFAULT_TOP_LIMIT = 10;

const { HANDLE, EVENT } = MONITOR_CALL;
const { ANSWER, EVENTS } = CLIENT_EVENTS;
const { COUNTS } = CLIENT_COUNTS;
/** Events of a client that one call reads. */
const MOST_READ = CLIENT_COUNTS.LENGTH;
const { readClientEvents, recordEvent, recordEventWith } = native;

const collected = handlesOf(native.releaseSecurityMonitor);

class SecurityMonitor {
  #name;
  #handle;
  /** The numbers of events in native code, which bounds how many there are. */
  #events = new Map();
  /** The names of events by number, as far as `countsFor` has asked for them. */
  #names = [];
  #listeners = new SubscribedListeners('SecurityMonitor', ['alert'], {
    begin: (subscription) => native.securityMonitorSubscribe(this.#handle, subscription),
    end: (subscription) => native.securityMonitorUnsubscribe(this.#handle, subscription),
    emit: (delivery) => this.#emit(delivery),
  });

  constructor(name, options) {
    checkName('SecurityMonitor', name);
    this.#name = name;
    const checked = options === undefined ? undefined : sharedOptions(options);
    const open = (reconfigures) => native.openSecurityMonitor(name, checked, reconfigures);
    this.#handle = openNamed('SecurityMonitor', name, options, open);
    collected.register(this, this.#handle);
    publishEvents('SecurityMonitor', this);
  }

  static destroy(name) {
    checkName('SecurityMonitor', name);
    return native.destroySecurityMonitor(name);
  }

  get name() {
    return this.#name;
  }

  record(event, ip, detail) {
    const number = this.#events.get(event) ?? this.#numberOf(event);
    integers[HANDLE] = this.#handle;
    integers[EVENT] = number;
    if (detail === undefined) recordEvent(ip);
    else recordEventWith(ip, detail);
  }

  /** The newest first; `forgotten` is how many events are no longer in it. */
  history(options = {}) {
    const { ip, event, limit } = checkOptions('history', options, HISTORY_SCHEMA);
    if (ip !== undefined) checkAddress(ip);
    if (event !== undefined) checkEvent(event);
    const { entries, forgotten } = native.securityHistory(this.#handle, ip, event, limit);
    return Object.defineProperty(entries.map(historyEntry), 'forgotten', { value: forgotten });
  }

  counts() {
    return countsByEvent(native.securityCounts(this.#handle));
  }

  countsFor(ip) {
    checkAddress(ip);
    integers[HANDLE] = this.#handle;
    readClientEvents(ip);
    const answer = integers[ANSWER];
    if (answer >= 0) noAnswer();
    const found = -1 - answer;
    if (found > MOST_READ) return this.#countsFor(ip);
    const counts = {};
    for (let place = 0; place < found; place++) {
      const name = this.#names[integers[EVENTS + place]];
      if (name === undefined) return this.#countsFor(ip);
      counts[name] = numbers[COUNTS + place];
    }
    return counts;
  }

  top(options = {}) {
    const { limit = DEFAULT_TOP_LIMIT } = checkOptions('top', options, TOP_SCHEMA);
    return native.securityTop(this.#handle, limit).map(({ of, count }) => ({ client: of, count }));
  }

  stats() {
    return native.securityMonitorStats(this.#handle);
  }

  on(event, listener) {
    this.#listeners.add(event, listener);
    return this;
  }

  once(event, listener) {
    this.#listeners.add(event, listener, { once: true });
    return this;
  }

  off(event, listener) {
    this.#listeners.remove(event, listener);
    return this;
  }

  /** As `countsFor`, for a client with many events, or with some whose names are not known here. */
  #countsFor(ip) {
    const names = native.securityEvents(this.#handle);
    // An assignment of this property would set the prototype.
    this.#names = names.map((name) => (name === '__proto__' ? undefined : name));
    return countsByEvent(native.securityCountsFor(this.#handle, ip));
  }

  #numberOf(event) {
    checkEvent(event);
    const number = native.securityEvent(this.#handle, event);
    this.#events.set(event, number);
    return number;
  }

  #emit({ alert: delivered, missed }) {
    const { rule, event, client, count, detail, detailCut, at } = owned(delivered);
    const alert = { rule, event, client, count, detail, at };
    if (detailCut) alert.detailCut = true;
    if (missed > 0) alert.missed = missed;
    this.#listeners.emit('alert', alert);
  }
}

function historyEntry(found) {
  const { sequence, event, client, detail, detailCut, at } = owned(found);
  const entry = { sequence, event, client, detail, at };
  if (detailCut) entry.detailCut = true;
  return entry;
}

function countsByEvent(counts) {
  return Object.fromEntries(counts.map(({ of, count }) => [of, count]));
}

function checkEvent(event) {
  if (!isName(event)) throw invalid('INVALID_VALUE', 'event', event, ACCEPTED_NAME);
}

function checkAddress(ip) {
  if (typeof ip === 'string') return;
  throw invalid('INVALID_ADDRESS', 'address', ip, 'IPv4 or IPv6 as a string');
}

module.exports = { SecurityMonitor };
