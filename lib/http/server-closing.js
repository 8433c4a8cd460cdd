'use strict';

const { invalidOption } = require('../runtime/errors');
const { otherWorkersAccept } = require('../listen/leases');
const { ListenQueue } = require('./listen-queue');
const { heldSockets } = require('./server-hook');
const { NONE } = require('../runtime/none');

/** The pause between two looks at the connections while a server shuts down. */
const LOOK_MS = 10;

const SERVER_METHODS = ['emit', 'listen', 'close'];

function checkServer(option, server) {
  if (SERVER_METHODS.every((method) => typeof server?.[method] === 'function')) return;
  throw invalidOption(option, server, 'a server of net, tls, http, https or http2');
}

/**
 * Closes a server: accepts what is in its listen queue, stops accepting, and waits until the last of `sockets` has closed,
 * or `isOver()`, and of those that are held before the server sees them. Sockets left then are destroyed, except those for which `isAnswered(socket)` is true, which close by
 * themselves. Resolves with the sockets that were `left`, and how many connections were `reset` in the queue.
 *
 * `tidy(isOver)` is called with each look, to end what is not awaited. `sessions()` are the sessions of HTTP/2.
 */
async function closeServer(server, { sockets, sessions, tidy, isOver, isAnswered }) {
  const open = () => [...sockets, ...heldSockets(server)].filter((socket) => !socket.destroyed);
  let isClosed = false;
  const [reset] = await Promise.all([
    stopAccepting(server, { isOver, sessions }, () => {
      isClosed = true;
    }),
    until(() => {
      const over = isOver();
      tidy(over);
      return over || (isClosed && open().length === 0);
    }),
  ]);
  const left = open();
  for (const socket of left) if (!isAnswered(socket)) socket.destroy();
  server.closeAllConnections?.();
  return { left, reset };
}

/**
 * Resolves with the number of connections that were reset. `onClosed` is called once the server has closed and its queue is
 * empty. Where other cluster workers accept from the socket, they serve what is in the queue.
 */
async function stopAccepting(server, { isOver, sessions }, onClosed) {
  if (otherWorkersAccept(server)) {
    stopListening(server, sessions(), onClosed);
    return 0;
  }
  const queue = new ListenQueue(server);
  await queue.empty(isOver);
  queue.hold();
  const closed = new Promise((resolve) => stopListening(server, sessions(), resolve));
  const reset = await queue.close(isOver);
  closed.then(onClosed);
  return reset;
}

/**
 * Closes the listening socket only. Newer versions of Node also end idle connections and sessions in `close`; here `tidy`
 * decides which of them end, and when. A server that no longer listens calls back with an error; its connections may still
 * be open.
 */
function stopListening(server, sessions, onClosed) {
  const shadowed = [...sessions].map((session) => shadow(session, 'close'));
  if (typeof server.closeIdleConnections === 'function')
    shadowed.push(shadow(server, 'closeIdleConnections'));
  try {
    server.close(onClosed);
  } finally {
    for (const restore of shadowed) restore();
  }
}

/** Replaces a method by `instead` until the returned function is called. */
function shadow(object, method, instead = () => {}) {
  const own = Object.getOwnPropertyDescriptor(object, method);
  Object.defineProperty(object, method, { value: instead, configurable: true, writable: true });
  return () => {
    delete object[method];
    if (own !== undefined) Object.defineProperty(object, method, own);
  };
}

/** Resolves once `isDone()`, which is called every few milliseconds. Keeps the thread alive unless `ref` is false. */
function until(isDone, { ref = true } = NONE) {
  return new Promise((resolve) => {
    if (isDone()) return resolve(undefined);
    const looking = setInterval(() => {
      if (!isDone()) return;
      clearInterval(looking);
      resolve(undefined);
    }, LOOK_MS);
    if (!ref) looking.unref();
  });
}

module.exports = { checkServer, closeServer, shadow, until };
