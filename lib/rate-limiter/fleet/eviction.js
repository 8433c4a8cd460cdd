'use strict';

const { onProcess } = require('../../runtime/native');
const { warn } = require('../../runtime/warn');

const warned = new Set();

onProcess('reset', () => warned.clear());

/** Warns once of a server that forgets clients when its memory is full. Where its policy is not known, nothing is said. */
function warnOfEviction({ server, evictionPolicy }) {
  const keeps = evictionPolicy === undefined || evictionPolicy === null || evictionPolicy === 'noeviction';
  if (keeps || warned.has(server)) return;
  warned.add(server);
  warn(
    'SLUICE_REDIS_EVICTS',
    `Redis at ${server} has maxmemory-policy ${evictionPolicy}: when its memory is full it forgets clients, which then have their quota once more; accepted: noeviction`,
  );
}

module.exports = { warnOfEviction };
