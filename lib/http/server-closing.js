'use strict';

const { invalidOption } = require('../runtime/errors');
const { otherWorkersAccept } = require('../listen/leases');
const { ListenQueue } = require('./listen-queue');

/** How often connections are looked at while a server shuts down. */
const LOOK_MS = 10;

const SERVER_METHODS = ['emit', 'listen', 'close'];

function checkServer(option, server) {
  if (SERVER_METHODS.every((method) => typeof server?.[method] === 'function')) return;
  throw invalidOption(option, server, 'a server of net, tls, http, https or http2');
}

/**
 * Accepts what waits in the listen queue, then no more, and waits until the last of `sockets` has gone, or `isOver()`;
 * what is left then is ended. Resolves with what was `left`, and how many connections were `reset` in the queue.
 *
 * `tidy(isOver)` runs with each look, to end what is not waited for. At the end `isAnswered(socket)` tells which of
 * those that are left close by themselves. `sessions()` are those of HTTP/2.
 */
async function closeServer(server, { sockets, sessions, tidy, isOver, isAnswered }) {
  const open = () => [...sockets].filter((socket) => !socket.destroyed);
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
 * How many connections were reset. `onClosed` is called once the server has closed and its queue is empty. Where other
 * cluster workers have the socket they serve what waits in the queue.
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
 * Newer versions of Node end idle connections and sessions together with the listening socket, older ones do not. Which
 * of them end, and when, is for `tidy` to say. A server that listens no more says so; its connections may be open all the
 * same.
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

/** Puts `instead` in the place of a method; what it returns takes it away. */
function shadow(object, method, instead = () => {}) {
  const own = Object.getOwnPropertyDescriptor(object, method);
  Object.defineProperty(object, method, { value: instead, configurable: true, writable: true });
  return () => {
    delete object[method];
    if (own !== undefined) Object.defineProperty(object, method, own);
  };
}

/** Looks every few milliseconds; keeps the thread alive meanwhile, unless told not to. */
function until(isDone, { ref = true } = { __proto__: null }) {
  return new Promise((resolve) => {
    if (isDone()) return resolve();
    const looking = setInterval(() => {
      if (!isDone()) return;
      clearInterval(looking);
      resolve();
    }, LOOK_MS);
    if (!ref) looking.unref();
  });
}

module.exports = { checkServer, closeServer, shadow, until };
