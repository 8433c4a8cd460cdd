'use strict';

const { continueLate } = require('../http/late-continue');
const { ServedConnections } = require('../lifecycle/served-connections');
const { native } = require('../runtime/native');
const { refuseSocket } = require('../http/refuse-socket');
const { keepAddresses } = require('../http/remote-address');
const { checkServer } = require('../http/server-closing');
const { HOOK_ORDER, hookServer } = require('../http/server-hook');
const { HeldConnections } = require('./held-connections');

/** On a request of a server with a ban gate: its response. */
const kResponse = Symbol('sluice.response');

/**
 * The servers of one guard in this thread. Refuses banned clients at accept, before a byte is read, and knows the open
 * connections, which a shutdown waits for.
 */
class GuardedServers {
  #refuses;
  #onRefused;
  #onFault;
  #isGated;
  #refusedBody;
  #servers = new Map();
  #attached = new WeakSet();

  /**
   * With `isGated`, `refuses(socket)` returns why a socket is refused at accept, or null, `onRefused(refusal)` is called
   * for each refused one, and requests have their response at `kResponse`; this costs a little on each event of a
   * server. `onFault(error)` counts what `refuses` throws; the socket is admitted. `refusedBody` bounds what is read of
   * refused sockets.
   */
  constructor({ refuses, onRefused, onFault, isGated, refusedBody }) {
    this.#isGated = isGated;
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

  /** The servers that listen. */
  get servers() {
    return this.#servers.keys();
  }

  isAttached(server) {
    return this.#attached.has(server);
  }

  /**
   * Stops accepting and waits for open connections to end; disconnects those left after `timeoutMs`. Resolves with the
   * number of these, and of connections that the system reset in the listen queue.
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
    const unhook = this.#isGated ? this.#hook(server, held) : listen(server, held);
    const watch = () => this.#servers.set(server, { held, unhook });
    watch();
    server.on('listening', watch);
    server.on('close', () => this.#servers.delete(server));
  }

  #hook(server, held) {
    return hookServer(server, HOOK_ORDER.BAN_GATE, {
      connection: (socket) => this.#admits(server, socket, held),
      secureConnection: (stream) => held.secure(stream),
      session: (session) => held.speak(session),
      request: (req, res) => {
        req[kResponse] = res;
      },
    });
  }

  #admits(server, socket, held) {
    const refusal = this.#refusalOf(socket);
    if (refusal === null) {
      held.add(socket);
      return true;
    }
    // Counted first: a client that has its answer finds it counted.
    this.#onRefused(refusal);
    // Its client has reset it: there is nothing to answer.
    if (refusal.reason === 'address') socket.destroy();
    else refuseSocket(server, socket, refusal, { refusedBody: this.#refusedBody });
    return false;
  }

  /** null after an internal error. */
  #refusalOf(socket) {
    try {
      return this.#refuses(socket);
    } catch (error) {
      return this.#onFault(error);
    }
  }
}

/** Holds new connections until the returned function is called. */
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

/** Requests that arrive while the server closes are decided and served as before. */
async function closeHeld(server, { held, unhook }, isOver) {
  const served = new ServedConnections(server, { refuses: false });
  served.adopt(held.connections);
  const { forced, reset } = await served.close(isOver);
  served.detach();
  unhook();
  return forced + reset;
}

module.exports = { GuardedServers, kResponse };
