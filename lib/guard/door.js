'use strict';

const { native } = require('../native');
const { refuseSocket } = require('../refuse-socket');
const { checkServer, closeServer } = require('../server-closing');

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
  #hears;
  #servers = new Map();
  #attached = new WeakSet();

  /**
   * `refuses(socket)` gives a refusal or null; `onRefused` is told of each. Only with `hears` it is asked, and
   * requests have their responses at `kResponse`: each event of the server costs a little more then.
   */
  constructor({ refuses, onRefused, onFault, hears }) {
    this.#hears = hears;
    this.#refuses = refuses;
    this.#onRefused = onRefused;
    this.#onFault = onFault;
  }

  /** Idempotent. */
  attach(server) {
    if (this.#attached.has(server)) return;
    checkServer('attach server', server);
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
    const due = native.elapsed() + timeoutMs;
    const isOver = () => native.elapsed() >= due;
    const closing = [...this.#servers].map(async ([server, { sockets, detach }]) => {
      this.#servers.delete(server);
      // What has answered its last request would be kept alive.
      const tidy = () => server.closeIdleConnections?.();
      const forced = await closeServer(server, { sockets, tidy, isOver });
      detach();
      return forced;
    });
    const forced = await Promise.all(closing);
    return forced.reduce((sum, count) => sum + count, 0);
  }

  #watch(server) {
    const sockets = new Set();
    const hold = (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    };
    const detach = this.#hears ? this.#intercept(server, hold) : listen(server, hold);
    const watch = () => this.#servers.set(server, { sockets, detach });
    watch();
    server.on('listening', watch);
    server.on('close', () => this.#servers.delete(server));
  }

  /** A listener could not keep the server's own from a refused socket, so we hear of events before. */
  #intercept(server, hold) {
    const { emit } = server;
    const admits = (socket) => this.#admits(server, socket, hold);
    const intercepting = function (event, ...args) {
      if (event === 'connection' && !admits(args[0])) return true;
      if (event === 'request') args[0][kResponse] = args[1];
      return emit.call(this, event, ...args);
    };
    server.emit = intercepting;
    return () => {
      if (server.emit === intercepting) server.emit = emit;
    };
  }

  #admits(server, socket, hold) {
    const refusal = this.#refusalOf(socket);
    if (refusal === null) {
      hold(socket);
      return true;
    }
    refuseSocket(server, socket, refusal);
    this.#onRefused();
    return false;
  }

  /** null after a fault. */
  #refusalOf(socket) {
    try {
      return this.#refuses(socket);
    } catch (error) {
      return this.#onFault(error);
    }
  }
}

/** Holds the sockets that come; undone by what it returns. */
function listen(server, hold) {
  server.prependListener('connection', hold);
  return () => server.off('connection', hold);
}

module.exports = { Door, kResponse };
