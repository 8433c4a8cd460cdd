'use strict';

const net = require('node:net');
const { native } = require('../runtime/native');
const { owned } = require('../runtime/schema');

/** Connections that are accepted in one turn while a server closes. */
const MOST_AT_ONCE = 64;

/** Turns without a new connection after which a queue whose length is unknown counts as empty. */
const QUIET_TURNS = 2;

/** How long to wait while the process has no free descriptor. */
const FULL_PAUSE_MS = 10;

const turn = () => new Promise(setImmediate);

/**
 * The listen queue of a server: connections that are established and not accepted yet. The system resets them when the
 * socket closes, so they are accepted first.
 */
class ListenQueue {
  #server;
  /** The number of a duplicate of the socket, while it is held. */
  #held;

  constructor(server) {
    this.#server = server;
  }

  /**
   * Lets Node accept what is queued now, until `isOver()`. Node accepts one connection in each turn. Later connections are
   * left to `close`. Where the system does not report the length of the queue, waits until no connection arrives.
   */
  async empty(isOver) {
    const first = this.#length();
    const looksEmpty = this.#isQuiet();
    for (let turns = 0; this.#server.listening && !isOver(); turns++) {
      const isEmpty = first === undefined ? looksEmpty() : turns >= first || this.#length() === 0;
      if (isEmpty) return;
      await turn();
    }
  }

  /** Keeps the socket open while the server closes. */
  hold() {
    const fd = this.#descriptor();
    this.#held = fd === undefined ? undefined : (native.holdListenQueue(fd) ?? undefined);
  }

  /**
   * Accepts the connections queued since, and closes the socket in the call that finds its queue empty, or when `isOver()`.
   * Resolves with the number of connections that are reset.
   */
  async close(isOver) {
    if (this.#held === undefined) return 0;
    for (let count = 1; !isOver(); count++) {
      const { fd, isClosed } = owned(native.acceptWaiting(this.#held));
      if (isClosed) return 0;
      if (typeof fd === 'number') this.#serve(fd);
      else await new Promise((resolve) => setTimeout(resolve, FULL_PAUSE_MS));
      if (count % MOST_AT_ONCE === 0) await turn();
    }
    return native.closeListenQueue(this.#held);
  }

  /** Does what Node does with an accepted connection. */
  #serve(fd) {
    const server = this.#server;
    const { allowHalfOpen, pauseOnConnect: pauseOnCreate } = server;
    /** @type {any} The types of Node.js lack `pauseOnCreate`, and `server` of a socket. */
    const options = { fd, readable: true, writable: true, allowHalfOpen, pauseOnCreate };
    /** @type {any} */
    const socket = new net.Socket(options);
    if (isBlocked(server, socket)) {
      socket.destroy();
      return;
    }
    if (server.noDelay) socket.setNoDelay(true);
    socket.server = server;
    server.emit('connection', socket);
  }

  /** The length of the queue; `undefined` where the system does not report it. */
  #length() {
    const fd = this.#descriptor();
    return fd === undefined ? undefined : (native.waitingConnections(fd) ?? undefined);
  }

  /** Node has no public name for the descriptor. There is none in cluster workers and on Windows. */
  #descriptor() {
    const fd = this.#server._handle?.fd;
    return Number.isInteger(fd) && fd >= 0 ? fd : undefined;
  }

  /** A function to call once a turn: whether Node has accepted nothing for some turns. */
  #isQuiet() {
    let turns = -1;
    let before;
    return () => {
      const now = this.#server._connections;
      turns = now === before ? turns + 1 : 0;
      before = now;
      return turns >= QUIET_TURNS;
    };
  }
}

/** Newer versions of Node do not accept connections from addresses in the block list of a server. */
function isBlocked({ blockList }, { remoteAddress, remoteFamily }) {
  return remoteAddress !== undefined && blockList?.check(remoteAddress, remoteFamily?.toLowerCase()) === true;
}

module.exports = { ListenQueue };
