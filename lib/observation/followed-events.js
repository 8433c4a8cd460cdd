'use strict';

const { allNames, attached } = require('./attached');
const { note } = require('./journal');

/** How often this thread looks for new instances. */
const INTERVAL_MS = 1000;

/**
 * What is noted of each kind: the event, and the note. Several threads see one event; notes that are the same are kept
 * once, so a note has nothing that differs from thread to thread.
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

/** Changes of circuits carry no date: threads are told of one within the same second, mostly. */
const SECOND_MS = 1000;

function circuitNote(name, { peer, state, from, calls, failures }) {
  const at = Math.floor(Date.now() / SECOND_MS) * SECOND_MS;
  return { type: 'circuit', at, source: name, target: peer, state, from, calls, failures };
}

function banNote(name, { client, reason = null, until = null, at, by }) {
  const date = at ?? Math.floor(Date.now() / SECOND_MS) * SECOND_MS;
  return { at: date, source: name, client, reason, until: Number.isFinite(until) ? until : null, by };
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
      object.on(event, (payload) => note(describe(name, payload)));
    }
    return true;
  } catch {
    return false;
  }
}

module.exports = { follow };
