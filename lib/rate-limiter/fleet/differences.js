'use strict';

const { native, onProcess } = require('../../runtime/native');
const { warn } = require('../../runtime/warn');

const IN_FORCE = {
  RateLimiter: 'each process decides by its own limits, on what the server counts for all',
  ConnectionTracker: 'each process decides by its own caps, on what the server counts for all',
  Reputation: 'each process decides by its own rules, and the bans of all hold in each',
};

// The first thread to look warns.
onProcess('differences', () => {
  for (const { kind, name, own, other } of native.takeFleetDifferences()) {
    warn(
      'SLUICE_FLEET_OPTIONS_DIFFER',
      `${kind} ${JSON.stringify(name)} has ${own}, and ${other} in another process: ${IN_FORCE[kind]}`,
    );
  }
});
