'use strict';

/** For the guard: opens a connection for the socket of a request, at most once. */
const kAdmitSocket = Symbol('sluice.admitSocket');
/** For the guard: counts the connection of a proxy, which carries one client from now on, for that client. */
const kAssignSocket = Symbol('sluice.assignSocket');
/** For the guard: counts a socket that was refused at accept, because its client is banned or it has no address. */
const kCountBanned = Symbol('sluice.countBanned');
const kCountWithoutAddress = Symbol('sluice.countWithoutAddress');
/** For quotas of WebSockets: opens a session, or says why it is refused. */
const kOpenSession = Symbol('sluice.openSession');
/** As it, for a tracker that may ask a server first. Resolves. */
const kOpenSessionAsync = Symbol('sluice.openSessionAsync');
/** For dashboards: the clients with most open connections. */
const kBusiest = Symbol('sluice.busiest');

module.exports = {
  kAdmitSocket,
  kAssignSocket,
  kBusiest,
  kCountBanned,
  kCountWithoutAddress,
  kOpenSession,
  kOpenSessionAsync,
};
