'use strict';

const { setImmediate } = require('node:timers');
/** Memberships of this thread that the other peers were not notified of. */
const pending = [];

/** Announces a new peer one turn of the event loop later: the endpoints that it registers at once are served by then. */
function announceSoon(membership) {
  if (pending.length === 0) setImmediate(announceAll);
  pending.push(membership);
}

function announceAll() {
  for (const membership of pending.splice(0)) membership.announce();
}

module.exports = { announceSoon };
