'use strict';

const { native } = require('../runtime/native');
const { owned } = require('../runtime/schema');
const { allowStreams, endStreams } = require('../http/open-streams');
const { closeServer } = require('../http/server-closing');
const { acceptedSocket } = require('../http/remote-address');
const { HOOK_ORDER, heldSockets, hookServer } = require('../http/server-hook');
const { idleSockets } = require('./idle-sockets');
const { refuseLate, refuseRequest, refuseStream, refuseUpgrade } = require('./refuse-request');
const { IDLE_LOOKS, ServedSocket } = require('./served-socket');
const { ServedSession } = require('./served-session');
const { NONE } = require('../runtime/none');

/** The longest time for a head or a handshake in progress, after the server stopped. */
const MOST_PATIENCE_MS = 5000;

/** The connections of one server that is to be closed: which of them are busy, and how they end. */
class ServedConnections {
  #server;
  #onOpen;
  #onClose;
  #isProbe;
  #refuses;
  #unwatch;
  /** The property of a socket that holds its entry. Not a map: http2 wraps sockets in proxies of other identity. */
  #entry = Symbol('sluice.served');
  #sockets = new Set();
  #sessions = new Map();
  #isAnnounced = false;
  #isStopped = false;
  #looks = 0;
  /** Connections that were ended with a head or a handshake in progress. */
  #late = new Set();

  /**
   * `onOpen` and `onClose` are called once for each connection. After the server stopped, later requests are refused
   * unless `isProbe(req)` is true; with `refuses: false` none is.
   */
  constructor(server, options) {
    const { onOpen = () => {}, onClose = () => {}, isProbe = () => false, refuses = true } = owned(options);
    this.#server = server;
    this.#onOpen = onOpen;
    this.#onClose = onClose;
    this.#isProbe = isProbe;
    this.#refuses = refuses;
    this.#unwatch = this.#watch();
  }

  /** From now on answers of HTTP/1 have `Connection: close`. Streams without an end are ended. */
  announce() {
    this.#isAnnounced = true;
    endStreams(this.#server);
    for (const socket of this.#sockets) announceClose(socket[this.#entry]);
  }

  /**
   * Takes over connections that were accepted before, each `{ socket, stream, session }`. Over TLS, `stream` is the socket
   * that requests are read from; `session` is that of HTTP/2.
   */
  adopt(connections) {
    const entries = [];
    const held = heldSockets(this.#server);
    for (const { socket, stream, session } of connections) {
      // It is taken over once the server may see it.
      if (held.has(socket)) continue;
      const entry = this.#hold(socket, stream);
      if (entry === undefined) continue;
      if (session !== undefined) this.#holdSession(session, entry, false);
      else if (entry.stream !== undefined && !entry.isKept) entries.push(entry);
    }
    const idle = idleSockets(
      this.#server,
      entries.map(({ stream }) => stream),
    );
    for (const entry of entries) {
      // Node has no public name for the response that a socket waits for.
      const res = entry.stream._httpMessage;
      if (res === undefined || res === null) entry.adopt(idle?.has(entry.stream) ?? true);
      else entry.serve(res.req, res);
    }
  }

  /** After a reset: serves as if no shutdown had begun. A server that has stopped serves again once it listens again. */
  resume() {
    if (this.#isStopped && !this.#server.listening) return;
    this.#isAnnounced = false;
    this.#isStopped = false;
    this.#looks = 0;
    this.#late.clear();
    allowStreams(this.#server);
  }

  /** Stops the server: requests in progress are answered, later ones refused. Resolves with `{ forced, reset }`. */
  async close(isOver) {
    this.announce();
    this.#isStopped = true;
    const now = native.elapsed();
    for (const socket of this.#sockets) socket[this.#entry].stop();
    for (const session of this.#sessions.values()) session.stop(now);
    const { left, reset } = await closeServer(this.#server, {
      sockets: this.#sockets,
      sessions: () => this.#sessions.keys(),
      tidy: (isForced) => this.#tidy(isForced),
      isOver,
      isAnswered: (socket) => socket[this.#entry]?.isAnswered === true,
    });
    for (const socket of [...this.#sockets]) this.#release(socket);
    return { forced: new Set([...left, ...this.#late]).size, reset };
  }

  /** Ends the hook of the server. */
  detach() {
    this.#unwatch();
    allowStreams(this.#server);
  }

  #watch() {
    const serves = (event) => (req, res) => this.#serves(req, res, event);
    const upgrades = (_req, socket) => this.#upgrades(socket);
    return hookServer(this.#server, HOOK_ORDER.SERVED_CONNECTIONS, {
      connection: (socket) => {
        this.#hold(socket);
      },
      secureConnection: (stream) => this.#secure(stream),
      request: serves('request'),
      checkContinue: serves('checkContinue'),
      checkExpectation: serves('checkExpectation'),
      upgrade: upgrades,
      connect: upgrades,
      session: (session) => this.#holdSession(session, this.#hold(acceptedSocket(session.socket))),
      stream: (stream, headers) => this.#streams(stream, headers),
    });
  }

  #serves(req, res, event) {
    // Requests of HTTP/2 were handled at their 'stream' event.
    if (res.stream !== undefined) return true;
    const entry = this.#hold(acceptedSocket(req.socket), req.socket);
    if (entry?.isAnswered) return false;
    const isRefused = this.#isRefused(req, entry);
    if (entry !== undefined) {
      takeBack(entry);
      entry.serve(req, res);
      entry.mayFinish = false;
    }
    if (isRefused) refuseRequest(req, res, { mayHaveBody: event === 'request' });
    else if (this.#isAnnounced) announceClose(entry);
    return !isRefused;
  }

  #streams(stream, headers) {
    const session = this.#sessions.get(stream.session);
    session?.open(stream);
    const isRefused = this.#isRefused({ url: headers[':path'] ?? '' }, session);
    if (isRefused) refuseStream(stream, headers);
    return !isRefused;
  }

  #isRefused(req, { mayFinish = false } = NONE) {
    return this.#isStopped && this.#refuses && !mayFinish && !this.#isProbe(req);
  }

  #upgrades(socket) {
    const entry = this.#hold(acceptedSocket(socket), socket);
    if (entry?.isAnswered) return false;
    if (entry !== undefined) entry.isKept = true;
    if (!this.#isStopped || !this.#refuses) return true;
    if (entry !== undefined) entry.isAnswered = true;
    refuseUpgrade(socket);
    return false;
  }

  #secure(stream) {
    const entry = this.#hold(acceptedSocket(stream), stream);
    if (entry === undefined) return;
    entry.secure(stream);
    entry.isKept = !speaksHttp(this.#server);
  }

  #holdSession(session, entry, isNew = true) {
    if (entry === undefined) return;
    entry.isKept = true;
    const served = new ServedSession(session, entry, isNew);
    this.#sessions.set(session, served);
    session.once('close', () => this.#sessions.delete(session));
    if (this.#isStopped) served.stop(native.elapsed());
  }

  /** The entry of a socket, made at its accept, or with its first request if it was accepted before. */
  #hold(socket, stream = isTls(this.#server) ? undefined : socket) {
    const known = socket?.[this.#entry];
    if (known !== undefined || socket === undefined || socket === null || socket.destroyed) return known;
    const entry = new ServedSocket(socket, stream);
    entry.isKept = stream !== undefined && !speaksHttp(this.#server);
    entry.isQueued = this.#isStopped;
    socket[this.#entry] = entry;
    this.#sockets.add(socket);
    this.#onOpen();
    socket.once('close', () => this.#release(socket));
    return entry;
  }

  #release(socket) {
    if (this.#sockets.delete(socket)) this.#onClose();
  }

  /** Ends connections that are idle, or whose head or handshake takes too long. The application ends other protocols. */
  #tidy(isForced) {
    this.#looks += 1;
    const now = native.elapsed();
    const patience = isForced ? 0 : this.#patience();
    const idle = [];
    for (const socket of this.#sockets) {
      const entry = socket[this.#entry];
      const verdict = entry.look(now, patience);
      if (verdict === 'late') this.#endLate(entry);
      else if (verdict === 'idle' || (verdict === 'quiet' && isForced)) idle.push(entry);
    }
    this.#endIdle(idle, isForced);
    for (const served of this.#sessions.values()) {
      if (served.look(now, patience, isForced)) this.#late.add(served.socket);
    }
    // Connections that were accepted before the server was attached have no entry. Node knows which of them are idle.
    if (this.#looks > IDLE_LOOKS && this.#sockets.size === 0) this.#server.closeIdleConnections?.();
  }

  #patience() {
    const { headersTimeout } = this.#server;
    return headersTimeout > 0 ? Math.min(headersTimeout, MOST_PATIENCE_MS) : MOST_PATIENCE_MS;
  }

  #endIdle(entries, isForced) {
    // Only the parser knows whether the next request has arrived together with the last one.
    const isUsed = ({ hasServed, isDiscarding }) => hasServed && !isDiscarding;
    const idle = entries.some(isUsed) ? this.#idleStreams() : undefined;
    for (const entry of entries) {
      // A connection from the queue may have sent something that was not read yet.
      if (isForced && entry.isQueued) this.#late.add(entry.socket);
      if (idle === undefined || !isUsed(entry) || idle.has(entry.stream)) entry.socket.destroy();
      else if (isForced) this.#endLate(entry);
      else entry.begin();
    }
  }

  #idleStreams() {
    const streams = [...this.#sockets].map((socket) => socket[this.#entry].stream ?? socket);
    return idleSockets(this.#server, streams);
  }

  #endLate(entry) {
    this.#late.add(entry.socket);
    entry.isAnswered = true;
    if (entry.stream === undefined) entry.socket.destroy();
    else refuseLate(entry.stream);
  }
}

/** Servers of http and https have the first method, servers of http2 the second. */
function speaksHttp(server) {
  return typeof server.closeIdleConnections === 'function' || typeof server.updateSettings === 'function';
}

function isTls(server) {
  return typeof server.setSecureContext === 'function';
}

/** Marks the latest answer so that the connection closes with it. Not for HTTP/2. */
function announceClose(entry) {
  const res = entry?.latest;
  if (res === undefined || res.headersSent) return;
  res.setHeader('Connection', 'close');
  entry.closing = res;
}

/** Takes the mark back: another answer follows. */
function takeBack(entry) {
  if (entry.closing?.headersSent === false) entry.closing.setHeader('Connection', 'keep-alive');
  entry.closing = undefined;
}

module.exports = { ServedConnections };
