'use strict';

const { Deadline } = require('../deadline');
const { invalidOption } = require('../errors');
const { refuseSocket } = require('../refuse-socket');

/** How often connections that fell idle are looked for while a server shuts down. */
const IDLE_LOOK_MS = 20;

/** Where an accepted request has its response, so that who is asked about the request finds it. */
const kResponse = Symbol('sluice.response');

/**
 * The accept of every server that a guard stands before in this thread: who is banned is refused before a
 * byte is read, and who was let in is known, to be waited for when the server shuts down.
 */
class Door {
  #refuses;
  #onRefused;
  #onFault;
  #keepsResponses;
  #servers = new Map();
  #attached = new WeakSet();

  /**
   * `refuses(socket)` gives a refusal or null; `onRefused` is told of each. With `keepsResponses` a request
   * has its response at `kResponse`.
   */
  constructor({ refuses, onRefused, onFault, keepsResponses }) {
    this.#keepsResponses = keepsResponses;
    this.#refuses = refuses;
    this.#onRefused = onRefused;
    this.#onFault = onFault;
  }

  /** Idempotent. */
  attach(server) {
    if (this.#attached.has(server)) return;
    if (typeof server?.emit !== 'function' || typeof server.listen !== 'function') {
      throw invalidOption('attach server', server, 'a server of net, tls, http, https or http2');
    }
    this.#attached.add(server);
    this.#watch(server);
  }

  isAttached(server) {
    return this.#attached.has(server);
  }

  /**
   * Accepts no more, and waits until those who are connected have gone; who has not after `timeoutMs` is
   * disconnected. How many those were.
   */
  async close(timeoutMs) {
    const closing = [...this.#servers].map(([server, watched]) => {
      this.#servers.delete(server);
      return closeServer(server, watched, timeoutMs);
    });
    const forced = await Promise.all(closing);
    return forced.reduce((sum, count) => sum + count, 0);
  }

  /** A listener could not keep the server's own from a refused socket, so we hear of events before. */
  #watch(server) {
    const { emit } = server;
    const sockets = new Set();
    const keepsResponses = this.#keepsResponses;
    const admits = (socket) => this.#admits(server, socket, sockets);
    const watching = function (event, ...args) {
      if (event === 'connection' && !admits(args[0])) return true;
      if (keepsResponses && event === 'request') args[0][kResponse] = args[1];
      return emit.call(this, event, ...args);
    };
    server.emit = watching;
    const detach = () => {
      if (server.emit === watching) server.emit = emit;
    };
    this.#servers.set(server, { sockets, detach });
    server.once('close', () => this.#servers.delete(server));
  }

  #admits(server, socket, sockets) {
    try {
      const refusal = this.#refuses(socket);
      if (refusal !== null) {
        refuseSocket(server, socket, refusal);
        this.#onRefused();
        return false;
      }
    } catch (error) {
      this.#onFault(error);
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return true;
  }
}

/** How many connections had to be ended. A server that does not listen has nothing to close but these. */
async function closeServer(server, { sockets, detach }, timeoutMs) {
  const looking = setInterval(() => server.closeIdleConnections?.(), IDLE_LOOK_MS);
  await new Promise((resolve) => {
    const deadline = new Deadline(timeoutMs, resolve);
    server.close(() => {
      deadline.cancel();
      resolve();
    });
  });
  clearInterval(looking);
  const left = [...sockets];
  for (const socket of left) socket.destroy();
  server.closeAllConnections?.();
  detach();
  return left.length;
}

module.exports = { Door, kResponse };
