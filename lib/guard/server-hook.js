'use strict';

const { continueLate } = require('../http/late-continue');
const { ServedConnections } = require('../lifecycle/served-connections');
const { native } = require('../runtime/native');
const { refuseSocket } = require('../http/refuse-socket');
const { keepAddresses } = require('../http/remote-address');
const { checkServer } = require('../http/server-closing');
const { HeldConnections } = require('./held-connections');

/** Where an accepted request has its response, so that who is asked about the request finds it. */
const kResponse = Symbol('sluice.response');

/**
 * The accept of every server that a guard stands before in this thread: who is banned is refused before a
 * byte is read, and who was let in is known, to be waited for when the server shuts down.
 */
class ServerHook {
  #refuses;
  #onRefused;
  #onFault;
  #hears;
  #refusedBody;
  #servers = new Map();
  #attached = new WeakSet();

  /**
   * `refuses(socket)` gives a refusal or null; `onRefused(refusal)` is told of each. A socket that has lost its
   * `'address'` cannot be answered. Only with `hears` it is asked, and
   * requests have their responses at `kResponse`: each event of the server costs a little more then. `refusedBody` bounds
   * what is read of refused sockets.
   */
  constructor({ refuses, onRefused, onFault, hears, refusedBody }) {
    this.#hears = hears;
    this.#refusedBody = refusedBody;
    this.#refuses = refuses;
    this.#onRefused = onRefused;
    this.#onFault = onFault;
  }

  /** Idempotent. */
  attach(server) {
    if (this.#attached.has(server)) return;
    checkServer('attach server', server);
    this.#attached.add(server);
    keepAddresses(server);
    continueLate(server);
    this.#watch(server);
  }

  /** Those that listen. */
  get servers() {
    return this.#servers.keys();
  }

  isAttached(server) {
    return this.#attached.has(server);
  }

  /**
   * Accepts no more, and waits until those who are connected have gone; who has not after `timeoutMs` is
   * disconnected. How many those were, and those that the system reset before they were accepted.
   */
  async close(timeoutMs) {
    const due = native.elapsed() + timeoutMs;
    const isOver = () => native.elapsed() >= due;
    const closing = [...this.#servers].map(([server, held]) => {
      this.#servers.delete(server);
      return closeHeld(server, held, isOver);
    });
    const ended = await Promise.all(closing);
    return ended.reduce((sum, count) => sum + count, 0);
  }

  #watch(server) {
    const held = new HeldConnections();
    const detach = this.#hears ? this.#intercept(server, held) : listen(server, held);
    const watch = () => this.#servers.set(server, { held, detach });
    watch();
    server.on('listening', watch);
    server.on('close', () => this.#servers.delete(server));
  }

  /** A listener could not keep the server's own from a refused socket, so we hear of events before. */
  #intercept(server, held) {
    const { emit } = server;
    const admits = (socket) => this.#admits(server, socket, held);
    const intercepting = function (event, ...args) {
      if (event === 'connection' && !admits(args[0])) return true;
      if (event === 'request') args[0][kResponse] = args[1];
      else if (event === 'secureConnection') held.secure(args[0]);
      else if (event === 'session') held.speak(args[0]);
      return emit.call(this, event, ...args);
    };
    server.emit = intercepting;
    return () => {
      if (server.emit === intercepting) server.emit = emit;
    };
  }

  #admits(server, socket, held) {
    const refusal = this.#refusalOf(socket);
    if (refusal === null) {
      held.add(socket);
      return true;
    }
    if (refusal.reason === 'address') socket.destroy();
    else refuseSocket(server, socket, refusal, { refusedBody: this.#refusedBody });
    this.#onRefused(refusal);
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

/** Holds the connections that come; undone by what it returns. */
function listen(server, held) {
  const listeners = {
    connection: (socket) => held.add(socket),
    secureConnection: (stream) => held.secure(stream),
    session: (session) => held.speak(session),
  };
  for (const [event, listener] of Object.entries(listeners)) server.prependListener(event, listener);
  return () => {
    for (const [event, listener] of Object.entries(listeners)) server.off(event, listener);
  };
}

/** Requests that come meanwhile are decided and served as before. */
async function closeHeld(server, { held, detach }, isOver) {
  const served = new ServedConnections(server, { refuses: false });
  served.adopt(held.connections);
  const { forced, reset } = await served.close(isOver);
  served.detach();
  detach();
  return forced + reset;
}

module.exports = { ServerHook, kResponse };
