'use strict';

const { AsyncResource } = require('node:async_hooks');
const { AttachedServers } = require('./attached-servers');
const { ClientAddress } = require('../client-key');
const { Deadline } = require('../runtime/deadline');
const { native, subscribe, unsubscribe } = require('../runtime/native');
const { checkOptions, func, owned, strings } = require('../runtime/schema');
const { refuseSocket } = require('../http/refuse-socket');
const { refusedBodyOption } = require('../http/refused-body');
const { acceptedSocket, hasLostAddress, keepAddresses, remoteAddressOf } = require('../http/remote-address');
const { checkServer } = require('../http/server-closing');
const { HOOK_ORDER, hookServer } = require('../http/server-hook');
const { warningInstead } = require('../runtime/warn-of-throw');

const ATTACH_SCHEMA = { onRefused: func, trustedProxies: strings, refusedBody: refusedBodyOption };

/** The shortest pause between two looks for idle connections. */
const LEAST_SWEEP_MS = 10;

/** One table per tracker and thread, whichever objects stand for the tracker, until the tracker is destroyed. */
const tables = new Map();

function socketTableOf(tracker, handle, idleTimeoutMs) {
  let table = tables.get(handle);
  if (table === undefined) {
    table = new SocketTable(tracker, handle);
    tables.set(handle, table);
  }
  if (typeof idleTimeoutMs === 'number') table.sweep();
  return table;
}

/**
 * The sockets and sessions of this thread that are connections of one tracker and end when somebody closes them,
 * and the servers that sockets come from.
 */
class SocketTable {
  /** Kept so that its handle stays in use, too. */
  #tracker;
  #handle;
  /** By server: its proxies, whose connections are not counted for a client. */
  #servers = new WeakMap();
  /** Where a socket has its entry: http2 shows sockets through proxies, which have other identities. */
  #entry = Symbol('sluice.connection');
  /** By serial, as text: an id that is given may be given again. */
  #entries = new Map();
  #subscription;
  #attached = new AttachedServers();
  #nextSweep;
  #isEnded = false;
  #isSweeping = false;

  constructor(tracker, handle) {
    this.#tracker = tracker;
    this.#handle = handle;
    // Sockets and servers hold the table. Without any there is nothing to be told of.
    this.#subscription = subscribe((delivery) => this.#hear(delivery), { holds: false });
    native.subscribeToConnectionTracker(handle, this.#subscription);
  }

  /** From now on each socket of the server is a connection, or is refused before a byte of it is read. */
  attach(server, options = {}) {
    const { onRefused: given, trustedProxies, refusedBody } = checkOptions('attach', options, ATTACH_SCHEMA);
    const onRefused = given && this.#warning(given);
    checkServer('attach server', server);
    const proxies = trustedProxies?.length > 0 ? new ClientAddress({ trustedProxies }) : undefined;
    const isKnown = this.#servers.has(server);
    if (!isKnown || trustedProxies !== undefined) this.#servers.set(server, proxies);
    if (isKnown) return;
    keepAddresses(server);
    this.#watch(server, (socket) => {
      // As soon as it is destroyed, of which this thread may not have been told yet.
      if (this.#isEnded) return true;
      const address = remoteAddressOf(socket);
      if (address === undefined && hasLostAddress(socket)) return this.#drop(socket);
      const checkClient = !this.#servers.get(server)?.isTrusted(address);
      const { connection, refusal } = this.admit(socket, { checkClient });
      if (connection === undefined) refuseSocket(server, socket, refusal, { onRefused, refusedBody });
      return connection !== undefined;
    });
  }

  /** An `onRefused` that throws neither admits the socket nor ends the thread. */
  #warning(onRefused) {
    const name = `ConnectionTracker "${this.#tracker.name}" onRefused`;
    return warningInstead('SLUICE_ON_REFUSED', name, 'sockets get the default refusal', onRefused);
  }

  /** What sessions that are told of their end are opened with. */
  get subscription() {
    return this.#subscription;
  }

  /** Calls `onClose` once the session was closed, by whoever. */
  holdSession(serial, onClose) {
    const key = String(serial);
    const told = AsyncResource.bind(onClose, 'sluice:ConnectionTracker:close');
    const end = () => {
      this.#entries.delete(key);
      // Who is asked as it is idle has not been closed yet.
      native.closeConnection(this.#handle, serial, true);
      told();
    };
    // Sessions say themselves that they are in use, so whoever asks knows that they are idle.
    this.#entries.set(key, { isIdleFor: () => true, end });
  }

  /** The connection of a socket, opened at most once, or why there is none. */
  admit(socket, { checkClient = true } = { __proto__: null }) {
    const known = socket[this.#entry];
    if (known !== undefined) return { connection: known.serial, refusal: undefined };
    const client = remoteAddressOf(socket);
    const request = { id: undefined, detail: undefined, subscription: this.#subscription, checkClient };
    const opened = owned(native.openConnection(this.#handle, client, request));
    if (opened.kind === 'refused') {
      const { reason, retryAfterMs } = opened;
      return { connection: undefined, refusal: { reason, client, retryAfterMs } };
    }
    const { serial } = opened;
    try {
      this.#hold(socket, serial);
    } catch (error) {
      // A stack overflow, or a socket with methods of its own: nothing would close the connection.
      delete socket[this.#entry];
      this.#entries.delete(String(serial));
      native.closeConnection(this.#handle, serial, true);
      throw error;
    }
    return { connection: serial, refusal: undefined };
  }

  /**
   * Counts the connection of a socket, that of a proxy which carries one client from now on, for this client. Why it
   * may not, or null.
   */
  assign(socket, client) {
    const entry = acceptedSocket(socket)?.[this.#entry];
    if (entry === undefined) return null;
    const refusal = native.assignConnection(this.#handle, entry.serial, client);
    if (refusal === null) return null;
    const { reason, retryAfterMs } = owned(refusal);
    return { reason, client, retryAfterMs };
  }

  /** Closes a TCP socket without an address: limits per client could not be applied to it. Answers false. */
  #drop(socket) {
    native.countConnectionWithoutAddress(this.#handle);
    socket.destroy();
    return false;
  }

  /** Internal errors let the socket pass. */
  #watch(server, admits) {
    const entryOf = (socket) => acceptedSocket(socket)?.[this.#entry];
    const upgrade = (_req, socket) => entryOf(socket)?.upgrade();
    const detach = hookServer(server, HOOK_ORDER.CONNECTION_TRACKER, {
      connection: (socket) => this.#passes(admits, socket),
      request: (req, res) => entryOf(req.socket)?.serve(res),
      stream: (stream) => entryOf(stream.session?.socket)?.serve(stream),
      upgrade,
      connect: upgrade,
    });
    this.#attached.add(server, detach);
  }

  /** Internal errors let the socket pass. A destroyed tracker warns once and counts nothing more. */
  #passes(admits, socket) {
    try {
      return admits(socket);
    } catch (error) {
      if (error.code === 'ERR_SLUICE_CLOSED') {
        this.#isEnded = true;
        warnOfNoCount(this.#tracker.name);
      } else {
        process.emitWarning(`connections are not counted: ${error.message}`, 'SluiceWarning', error.code);
      }
      return true;
    }
  }

  #hear(delivery) {
    const { kind, serial, ifIdleMs } = owned(delivery);
    if (kind === 'destroyed') this.#end();
    else this.#closeWhenAsked(serial, ifIdleMs);
  }

  /** The tracker was destroyed: its sockets stay, and nothing else of this thread keeps the table. */
  #end() {
    this.#nextSweep?.cancel();
    unsubscribe(this.#subscription);
    tables.delete(this.#handle);
    this.#attached.detach(this.#isEnded ? () => {} : () => warnOfNoCount(this.#tracker.name));
    this.#isEnded = true;
  }

  #hold(socket, serial) {
    const entry = new Entry(this.#handle, serial, socket);
    socket[this.#entry] = entry;
    this.#entries.set(String(serial), entry);
    const release = () => {
      this.#entries.delete(String(serial));
      native.closeConnection(this.#handle, serial, true);
    };
    if (socket.destroyed) release();
    else socket.once('close', release);
  }

  #closeWhenAsked(serial, ifIdleMs) {
    const entry = this.#entries.get(serial);
    if (entry === undefined) return;
    if (typeof ifIdleMs !== 'number' || entry.isIdleFor(ifIdleMs)) entry.end();
  }

  /** Closes idle connections of all threads, as long as the tracker has an idle timeout and is not destroyed. */
  sweep() {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    this.#sweepLater();
  }

  #sweepLater() {
    const idleTimeoutMs = native.connectionTrackerIdleTimeout(this.#handle);
    this.#isSweeping = typeof idleTimeoutMs === 'number';
    if (!this.#isSweeping) return;
    const pause = Math.max(Math.ceil(idleTimeoutMs / 4), LEAST_SWEEP_MS);
    const look = () => {
      try {
        native.closeIdleConnections(this.#handle);
        this.#sweepLater();
      } catch {
        // The tracker was destroyed.
      }
    };
    this.#nextSweep = new Deadline(pause, look, { ref: false });
  }
}

function warnOfNoCount(name) {
  const message = `connections are not counted: ConnectionTracker "${name}" was destroyed; create and attach it anew`;
  process.emitWarning(message, 'SluiceWarning', 'ERR_SLUICE_CLOSED');
}

/** One socket: when something was last transferred, as far as this thread can see. */
class Entry {
  #handle;
  #activeAt = native.elapsed();
  /** HTTP is told by its requests and responses, everything else by the bytes that moved. */
  #speaksHttp = false;
  #responses = 0;
  #bytes = 0;
  /** The latest request of HTTP/1, and what was read up to its end: what comes after is the head of the next. */
  #request;
  #requestEnd;
  #onResponseClosed = () => {
    this.#responses -= 1;
    this.#touch();
    this.#explain();
  };

  constructor(handle, serial, socket) {
    this.#handle = handle;
    this.serial = serial;
    this.socket = socket;
  }

  /** A request came: until its response has ended, the socket is busy. */
  serve(response) {
    this.#speaksHttp = true;
    // Streams of HTTP/2 share their bytes with frames of the session.
    this.#request = response.stream === undefined ? response.req : undefined;
    this.#requestEnd = undefined;
    this.#touch();
    // A stream that its client has cancelled closes once, and has done so.
    if ((response.stream ?? response).destroyed) return;
    this.#responses += 1;
    response.once('close', this.#onResponseClosed);
  }

  /** The socket changes to another protocol. */
  upgrade() {
    this.#speaksHttp = false;
    this.#request = undefined;
  }

  end() {
    this.socket.destroy();
  }

  /** Bytes that moved since the last look count as moved now. Who is being served is never idle. */
  isIdleFor(ms) {
    const isBusy = this.#responses > 0 || this.#isHeadUnderWay();
    if (isBusy || (!this.#speaksHttp && this.#bytesMoved())) this.#touch();
    return !isBusy && native.elapsed() - this.#activeAt >= ms;
  }

  #isHeadUnderWay() {
    if (this.#request === undefined) return false;
    if (this.#requestEnd === undefined) this.#explain();
    return this.socket.bytesRead > (this.#requestEnd ?? Number.POSITIVE_INFINITY);
  }

  #explain() {
    if (this.#request?.complete) this.#requestEnd = this.socket.bytesRead;
  }

  #bytesMoved() {
    const before = this.#bytes;
    this.#bytes = this.socket.bytesRead + this.socket.bytesWritten;
    return this.#bytes !== before;
  }

  #touch() {
    this.#activeAt = native.elapsed();
    native.touchConnection(this.#handle, this.serial);
  }
}

module.exports = { socketTableOf };
