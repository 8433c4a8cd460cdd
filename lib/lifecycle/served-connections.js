'use strict';

const { closeServer } = require('../server-closing');
const { acceptedSocket } = require('../socket-table');
const { refuseRequest, refuseUpgrade } = require('./refuse-request');

/**
 * How long a connection that is idle stays open after its server stopped: a request that is on its way when we stop is
 * answered with a 503 then, instead of meeting a closed socket.
 */
const IDLE_GRACE_MS = 200;

/** Turns for which a server goes on accepting, at most, while connections come in each. */
const MOST_TURNS = 50;

/** One server of a lifecycle: which of its connections are in use, and how they end. */
class ServedConnections {
  #server;
  #onOpen;
  #onClose;
  #isProbe;
  /** Where a socket has its entry: http2 shows sockets through proxies, which have other identities. */
  #entry = Symbol('sluice.served');
  #sockets = new Set();
  #accepted = 0;
  #sessions = new Set();
  #isAnnounced = false;
  #stoppedAt;

  /**
   * `onOpen` and `onClose` are called once for each connection. Requests for which `isProbe(req)` is true are served
   * to the end.
   */
  constructor(server, { onOpen, onClose, isProbe }) {
    this.#server = server;
    this.#onOpen = onOpen;
    this.#onClose = onClose;
    this.#isProbe = isProbe;
    this.#watch();
  }

  /** From now on each answer tells its client to connect anew next time. */
  announce() {
    this.#isAnnounced = true;
    for (const socket of this.#sockets) announceClose(socket[this.#entry]);
  }

  /** No more is accepted; requests on their way are answered, later ones refused. How many connections were forced. */
  async close(isOver) {
    this.announce();
    this.#stoppedAt = performance.now();
    for (const session of this.#sessions) session.close();
    await this.#acceptQueue();
    const tidy = (isForced) => this.#closeIdle(isForced);
    const forced = await closeServer(this.#server, { sockets: this.#sockets, tidy, isOver });
    for (const socket of [...this.#sockets]) this.#release(socket);
    return forced;
  }

  /**
   * Connections that wait in the system's queue would be reset together with the listening socket. So they are accepted
   * and refused with an answer, until none comes for two turns, of which one looks at all sockets.
   */
  async #acceptQueue() {
    for (let [turns, quiet] = [0, 0]; quiet < 2 && turns < MOST_TURNS; turns++) {
      const before = this.#accepted;
      await new Promise(setImmediate);
      quiet = this.#accepted === before ? quiet + 1 : 0;
    }
  }

  /** A listener could not keep the application's own from a request, so we hear of events before they are emitted. */
  #watch() {
    const server = this.#server;
    const { emit } = server;
    const goesOn = (event, args) => this.#goesOn(event, args);
    server.emit = function (event, ...args) {
      return goesOn(event, args) ? emit.call(this, event, ...args) : true;
    };
  }

  #goesOn(event, [first, second]) {
    switch (event) {
      case 'connection':
        this.#hold(first);
        return true;
      case 'request':
      case 'checkContinue':
      case 'checkExpectation':
        return this.#serves(first, second, event);
      case 'upgrade':
      case 'connect':
        return this.#upgrades(second);
      case 'session':
        this.#holdSession(first);
        return true;
      default:
        return true;
    }
  }

  #serves(req, res, event) {
    const entry = this.#hold(acceptedSocket(req.socket));
    this.#await(entry, res);
    // HTTP/2 refuses streams by itself once its session closes.
    const isRefused = this.#stoppedAt !== undefined && res.stream === undefined && !this.#isProbe(req);
    if (isRefused) refuseRequest(req, res, { hasBody: event === 'request' });
    else if (this.#isAnnounced) announceClose(entry);
    return !isRefused;
  }

  /**
   * Until its answer has ended, the connection is in use. Where requests are pipelined it closes with the last answer:
   * closed with an earlier one it would lose the others.
   */
  #await(entry, res) {
    if (entry === undefined) return;
    takeBack(entry);
    entry.latest = res;
    entry.requests += 1;
    res.once('close', () => {
      entry.requests -= 1;
      entry.idleSince = performance.now();
      if (entry.latest === res) entry.latest = undefined;
      if (entry.closing === res) entry.closing = undefined;
    });
  }

  #upgrades(socket) {
    const entry = this.#hold(acceptedSocket(socket));
    if (this.#stoppedAt !== undefined) {
      refuseUpgrade(socket);
      return false;
    }
    if (entry !== undefined) entry.isKept = true;
    return true;
  }

  #holdSession(session) {
    const entry = this.#hold(acceptedSocket(session.socket));
    if (entry !== undefined) entry.isKept = true;
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
    if (this.#stoppedAt !== undefined) session.close();
  }

  /** The entry of a socket, made at its accept, or with its first request where it came before us. */
  #hold(socket) {
    const known = socket?.[this.#entry];
    if (known !== undefined || socket === undefined || socket === null || socket.destroyed) return known;
    const entry = {
      requests: 0,
      latest: undefined,
      closing: undefined,
      idleSince: performance.now(),
      isKept: !speaksHttp(this.#server),
    };
    socket[this.#entry] = entry;
    this.#sockets.add(socket);
    this.#accepted += 1;
    this.#onOpen();
    socket.once('close', () => this.#release(socket));
    return entry;
  }

  #release(socket) {
    if (this.#sockets.delete(socket)) this.#onClose();
  }

  /** Connections that changed to another protocol are the application's. */
  #closeIdle(isForced) {
    const now = performance.now();
    for (const socket of this.#sockets) {
      const { requests, idleSince, isKept } = socket[this.#entry];
      if (isKept || requests > 0) continue;
      const isDue = now - Math.max(idleSince, this.#stoppedAt) >= IDLE_GRACE_MS;
      if (isForced || isDue) socket.destroy();
    }
    // Those that were accepted before the server was attached have no entry: which of them are idle, Node knows.
    const isGraceOver = now - this.#stoppedAt >= IDLE_GRACE_MS;
    if (isGraceOver && this.#sockets.size === 0) this.#server.closeIdleConnections?.();
  }
}

/** Servers of http and https have the first method, those of http2 the second. */
function speaksHttp(server) {
  return typeof server.closeIdleConnections === 'function' || typeof server.updateSettings === 'function';
}

/** The connection closes with its latest answer. HTTP/2 has other ways. */
function announceClose(entry) {
  const res = entry?.latest;
  if (res === undefined || res.headersSent || res.stream !== undefined) return;
  res.setHeader('Connection', 'close');
  entry.closing = res;
}

/** Another answer is to follow. */
function takeBack(entry) {
  if (entry.closing?.headersSent === false) entry.closing.setHeader('Connection', 'keep-alive');
  entry.closing = undefined;
}

module.exports = { ServedConnections };
