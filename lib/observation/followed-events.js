'use strict';

const { allNames, attached } = require('./attached');
const { numberOfChange } = require('../runtime/change-numbers');
const { note } = require('./journal');

/** How often this thread looks for new instances. */
const INTERVAL_MS = 1000;

/**
 * What is noted of each kind: the event, and the note. Each thread hears of an event. Changes have a number, and the first
 * note of one is kept. Alerts have a date of their own, so the notes of one are the same.
 */
const FOLLOWED = {
  SecurityMonitor: {
    alert: (name, { rule, event, client, count, detail, at }) => {
      return { type: 'alert', at, source: name, client, rule, event, count, detail };
    },
  },
  CircuitBreaker: {
    open: circuitNote,
    halfOpen: circuitNote,
    close: circuitNote,
  },
  Reputation: {
    ban: (name, ban) => ({ ...banNote(name, ban), type: 'ban' }),
    unban: (name, ban) => ({ ...banNote(name, ban), type: 'unban' }),
    expire: (name, ban) => ({ ...banNote(name, ban), type: 'expire' }),
  },
};

function circuitNote(name, { peer, state, from, calls, failures }) {
  return { type: 'circuit', at: Date.now(), source: name, target: peer, state, from, calls, failures };
}

function banNote(name, { client, reason, until, by }) {
  return { at: Date.now(), source: name, client, reason, until: Number.isFinite(until) ? until : null, by };
}

/** The objects whose events are noted. */
const followed = new WeakSet();

/** Notes alerts, bans and changes of circuits from now on, of instances that exist and of those to come. */
function follow() {
  followAll();
  setInterval(followAll, INTERVAL_MS).unref();
}

function followAll() {
  const names = allNames();
  for (const [kind, events] of Object.entries(FOLLOWED)) {
    for (const name of names[kind] ?? []) {
      const object = attached(kind, name);
      if (object === null || followed.has(object) || object.on === undefined) continue;
      if (listen(object, name, events)) followed.add(object);
    }
  }
}

/** False where the instance was destroyed meanwhile: one that is made anew is found the next time. */
function listen(object, name, events) {
  try {
    for (const [event, describe] of Object.entries(events)) {
      object.on(event, (payload) => note(describe(name, payload), numberOfChange(payload)));
    }
    return true;
  } catch {
    return false;
  }
}

module.exports = { follow };
