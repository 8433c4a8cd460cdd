'use strict';

const diagnostics = require('node:diagnostics_channel');

/** The channels of `node:diagnostics_channel` on which this package publishes, by what owns them. */
const CHANNELS = {
  guard: { refusal: channel('guard:refusal'), fault: channel('guard:fault') },
  ConnectionTracker: { refusal: channel('connection-tracker:refusal') },
  Reputation: {
    ban: channel('reputation:ban'),
    unban: channel('reputation:unban'),
    expire: channel('reputation:expire'),
  },
  SecurityMonitor: { alert: channel('security-monitor:alert') },
  CircuitBreaker: {
    open: channel('circuit-breaker:open'),
    halfOpen: channel('circuit-breaker:half-open'),
    close: channel('circuit-breaker:close'),
  },
  Lifecycle: { change: channel('lifecycle:change') },
  Broker: {
    peerJoin: channel('broker:peer-join'),
    peerLeave: channel('broker:peer-leave'),
    drain: channel('broker:drain'),
  },
  dashboard: { action: channel('dashboard:action') },
};

function channel(name) {
  return diagnostics.channel(`sluice:${name}`);
}

/** Publishes what `describe()` returns, where anything subscribes. What a subscriber throws is an uncaught exception. */
function publish(to, describe) {
  if (to.hasSubscribers) to.publish(describe());
}

/**
 * Publishes the events of an instance from now on, if anything subscribes to one of its channels. `object` is this thread's:
 * it is asked for its events.
 */
function publishEvents(kind, object) {
  if (!Object.values(CHANNELS[kind]).some(({ hasSubscribers }) => hasSubscribers)) return;
  require('./published-events').publishEvents(kind, object);
}

module.exports = { CHANNELS, publish, publishEvents };
