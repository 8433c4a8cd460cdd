'use strict';

const { native } = require('../runtime/native');
const { owned } = require('../runtime/schema');
const { closeServer } = require('../http/server-closing');
const { acceptedSocket } = require('../http/remote-address');
const { HOOK_ORDER, hookServer } = require('../http/server-hook');
const { idleSockets } = require('./idle-sockets');
const { refuseLate, refuseRequest, refuseStream, refuseUpgrade } = require('./refuse-request');
const { IDLE_LOOKS, ServedSocket } = require('./served-socket');
const { ServedSession } = require('./served-session');

/** How long a head or a handshake that is under way has at most, after its server stopped. */
const MOST_PATIENCE_MS = 5000;

/** One server that is to be closed: which of its connections are in use, and how they end. */
class ServedConnections {
  #server;
  #onOpen;
  #onClose;
  #isProbe;
  #refuses;
  #unwatch;
  /** Where a socket has its entry: http2 shows sockets through proxies, which have other identities. */
  #entry = Symbol('sluice.served');
  #sockets = new Set();
  #sessions = new Map();
  #isAnnounced = false;
  #isStopped = false;
  #looks = 0;
  /** Connections that ended with a head or a handshake under way. */
  #late = new Set();

  /**
   * `onOpen` and `onClose` are called once for each connection. Requests for which `isProbe(req)` is true are served
   * to the end; all are where it does not refuse.
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

  /** From now on each answer tells its client to connect anew next time. */
  announce() {
    this.#isAnnounced = true;
    for (const socket of this.#sockets) announceClose(socket[this.#entry]);
  }

  /**
   * Takes over connections that were accepted before: `{ socket, stream, session }`, where over TLS `stream` is what is
   * read from, and `session` one of HTTP/2.
   */
  adopt(connections) {
    const entries = [];
    for (const { socket, stream, session } of connections) {
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

  /** As if no shutdown had begun: everything was reset. A server that has stopped serves again once it listens again. */
  resume() {
    if (this.#isStopped && !this.#server.listening) return;
    this.#isAnnounced = false;
    this.#isStopped = false;
    this.#looks = 0;
    this.#late.clear();
  }

  /** No more is accepted; requests on their way are answered, later ones refused. `{ forced, reset }`. */
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
      isAnswered: (socket) => socket[this.#entry].isAnswered,
    });
    for (const socket of [...this.#sockets]) this.#release(socket);
    return { forced: new Set([...left, ...this.#late]).size, reset };
  }

  /** Hears of the server's events no more. */
  detach() {
    this.#unwatch();
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
    // Streams of HTTP/2 were judged as such.
    if (res.stream !== undefined) return true;
    const entry = this.#hold(acceptedSocket(req.socket), req.socket);
    if (entry?.isAnswered) return false;
    const isRefused = this.#isRefused(req, entry);
    if (entry !== undefined) {
      takeBack(entry);
      entry.serve(req, res);
      entry.mayFinish = false;
    }
    if (isRefused) refuseRequest(req, res, { hasBody: event === 'request' });
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

  #isRefused(req, { mayFinish } = { __proto__: null }) {
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

  /** The entry of a socket, made at its accept, or with its first request where it came before us. */
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

  /** Ends what is idle, and what has begun and takes too long. Other protocols are the application's to end. */
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
    // Those that were accepted before the server was attached have no entry: which of them are idle, Node knows.
    if (this.#looks > IDLE_LOOKS && this.#sockets.size === 0) this.#server.closeIdleConnections?.();
  }

  #patience() {
    const { headersTimeout } = this.#server;
    return headersTimeout > 0 ? Math.min(headersTimeout, MOST_PATIENCE_MS) : MOST_PATIENCE_MS;
  }

  #endIdle(entries, isForced) {
    // Of a connection that was used, only the parser knows whether the next request came in with the last one.
    const isUsed = ({ hasServed, isDiscarding }) => hasServed && !isDiscarding;
    const idle = entries.some(isUsed) ? this.#idleStreams() : undefined;
    for (const entry of entries) {
      // What has come from the queue may have sent something that was not read yet.
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

/** Servers of http and https have the first method, those of http2 the second. */
function speaksHttp(server) {
  return typeof server.closeIdleConnections === 'function' || typeof server.updateSettings === 'function';
}

function isTls(server) {
  return typeof server.setSecureContext === 'function';
}

/** The connection closes with its latest answer. HTTP/2 has other ways. */
function announceClose(entry) {
  const res = entry?.latest;
  if (res === undefined || res.headersSent) return;
  res.setHeader('Connection', 'close');
  entry.closing = res;
}

/** Another answer is to follow. */
function takeBack(entry) {
  if (entry.closing?.headersSent === false) entry.closing.setHeader('Connection', 'keep-alive');
  entry.closing = undefined;
}

module.exports = { ServedConnections };
