'use strict';

const { invalidOption } = require('./errors');

/** How often connections are looked at while a server shuts down. */
const LOOK_MS = 10;

const SERVER_METHODS = ['emit', 'listen', 'close'];

function checkServer(option, server) {
  if (SERVER_METHODS.every((method) => typeof server?.[method] === 'function')) return;
  throw invalidOption(option, server, 'a server of net, tls, http, https or http2');
}

/**
 * Accepts no more, and waits until the last of `sockets` has gone, or `isOver()`; what is left then is ended. How many
 * those were. `tidy(isOver)` runs with each look, to end what nobody waits for.
 */
async function closeServer(server, { sockets, tidy, isOver }) {
  const open = () => [...sockets].filter((socket) => !socket.destroyed);
  let isClosed = false;
  stopListening(server, () => {
    isClosed = true;
  });
  await until(() => {
    const over = isOver();
    tidy(over);
    return over || (isClosed && open().length === 0);
  });
  const left = open();
  for (const socket of left) socket.destroy();
  server.closeAllConnections?.();
  return left.length;
}

/**
 * Newer versions of Node end idle connections together with the listening socket, older ones do not. Which of them
 * end, and when, is for `tidy` to say. A server that listens no more says so; its connections may be open all the same.
 */
function stopListening(server, onClosed) {
  if (typeof server.closeIdleConnections !== 'function') {
    server.close(onClosed);
    return;
  }
  const own = Object.getOwnPropertyDescriptor(server, 'closeIdleConnections');
  server.closeIdleConnections = () => {};
  try {
    server.close(onClosed);
  } finally {
    delete server.closeIdleConnections;
    if (own !== undefined) Object.defineProperty(server, 'closeIdleConnections', own);
  }
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

module.exports = { checkServer, closeServer, until };
