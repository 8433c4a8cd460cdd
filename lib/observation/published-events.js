'use strict';

const { isOpen } = require('./attached');
const { CHANNELS } = require('./channels');
const { KnownObjects } = require('./known-objects');

/** What a payload calls the name of its instance. */
const LABELS = {
  Reputation: 'reputation',
  SecurityMonitor: 'monitor',
  CircuitBreaker: 'breaker',
  Lifecycle: 'lifecycle',
};

/** The object of each instance whose events this thread publishes: `{ object, end }`, `end` removes its listeners. */
const publishing = new KnownObjects(
  (kind, { object }) => !isOpen(kind, object),
  ({ end }) => end(),
);

/** Publishes the events of an instance: once in this thread, however many objects stand for it. */
function publishEvents(kind, object) {
  // An instance that was destroyed may have been created anew.
  if (publishing.get(kind, object.name) !== undefined) return;
  const listeners = Object.entries(CHANNELS[kind]).map(([event, channel]) => {
    return [
      event,
      (change) => (isHeard(kind) ? channel.publish(payload(kind, object, change)) : entry.end()),
    ];
  });
  // With the last subscriber the events of the instance end as well; the next object begins anew.
  const end = () => {
    publishing.delete(kind, object.name, entry);
    for (const [event, listener] of listeners) object.off(event, listener);
  };
  const entry = { object, end };
  publishing.set(kind, object.name, entry);
  for (const [event, listener] of listeners) object.on(event, listener);
}

function isHeard(kind) {
  return Object.values(CHANNELS[kind]).some(({ hasSubscribers }) => hasSubscribers);
}

function payload(kind, { name }, change) {
  return { [LABELS[kind]]: name, ...change };
}

module.exports = { publishEvents, publishing };
