'use strict';

const { isOpen } = require('./attached');
const { CHANNELS } = require('./channels');

/** What a payload calls the name of its instance. */
const LABELS = {
  Reputation: 'reputation',
  SecurityMonitor: 'monitor',
  CircuitBreaker: 'breaker',
  Lifecycle: 'lifecycle',
};

/** The object of each instance whose events this thread publishes, by kind and name. */
const publishing = new Map();

/** Publishes the events of an instance: once in this thread, however many objects stand for it. */
function publishEvents(kind, object) {
  const key = `${kind} ${object.name}`;
  const known = publishing.get(key);
  // An instance that was destroyed may have been created anew.
  if (known !== undefined && isOpen(kind, known)) return;
  publishing.set(key, object);
  const listeners = Object.entries(CHANNELS[kind]).map(([event, channel]) => {
    return [event, (change) => (isHeard(kind) ? channel.publish(payload(kind, object, change)) : end())];
  });
  // With the last subscriber the events of the instance end as well; the next object begins anew.
  const end = () => {
    publishing.delete(key);
    for (const [event, listener] of listeners) object.off(event, listener);
  };
  for (const [event, listener] of listeners) object.on(event, listener);
}

function isHeard(kind) {
  return Object.values(CHANNELS[kind]).some(({ hasSubscribers }) => hasSubscribers);
}

function payload(kind, { name }, change) {
  return { [LABELS[kind]]: name, ...change };
}

module.exports = { publishEvents };
