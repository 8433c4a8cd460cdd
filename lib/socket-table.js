'use strict';

const { AsyncResource } = require('node:async_hooks');
const { ClientAddress } = require('./client-key');
const { Deadline } = require('./deadline');
const { native, subscribe } = require('./native');
const { checkOptions, func, owned, strings } = require('./options');
const { refuseSocket } = require('./refuse-socket');
const { checkServer } = require('./server-closing');

const ATTACH_SCHEMA = { onRefused: func, trustedProxies: strings };

/** The shortest pause between two looks for idle connections. */
const LEAST_SWEEP_MS = 10;

/** One table per tracker and thread, whichever objects stand for the tracker. */
const tables = new Map();

function socketTableOf(tracker, handle, idleTimeoutMs) {
  let table = tables.get(handle);
  if (table === undefined) {
    table = new SocketTable(tracker, handle, idleTimeoutMs);
    tables.set(handle, table);
  }
  return table;
}

/**
 * The sockets and sessions of this thread that are connections of one tracker and end when somebody closes them,
 * and the servers that sockets come from.
 */
class SocketTable {
  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: kept so that its handle stays in use
  #tracker;
  #handle;
  #servers = new WeakSet();
  /** Where a socket has its entry: http2 shows sockets through proxies, which have other identities. */
  #entry = Symbol('sluice.connection');
  /** By serial, as text: an id that is given may be given again. */
  #entries = new Map();
  #subscription;

  constructor(tracker, handle, idleTimeoutMs) {
    this.#tracker = tracker;
    this.#handle = handle;
    this.#subscription = subscribe(({ key, ifIdleMs }) => this.#closeWhenAsked(key, ifIdleMs));
    if (typeof idleTimeoutMs === 'number') this.#sweep(idleTimeoutMs);
  }

  /** From now on each socket of the server is a connection, or is refused before a byte of it is read. */
  attach(server, options = {}) {
    const { onRefused, trustedProxies } = checkOptions('attach', options, ATTACH_SCHEMA);
    checkServer('attach server', server);
    const proxies = trustedProxies?.length > 0 ? new ClientAddress({ trustedProxies }) : undefined;
    if (this.#servers.has(server)) return;
    this.#servers.add(server);
    this.#watch(server, (socket) => {
      const checkClient = !proxies?.isTrusted(socket.remoteAddress);
      const { connection, refusal } = this.admit(socket, { checkClient });
      if (connection === undefined) refuseSocket(server, socket, refusal, onRefused);
      return connection !== undefined;
    });
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
    const client = socket.remoteAddress;
    const request = { id: undefined, detail: undefined, subscription: this.#subscription, checkClient };
    const opened = owned(native.openConnection(this.#handle, client, request));
    const { connection, refusal, retryAfterMs } = opened;
    if (!connection)
      return { connection: undefined, refusal: { reason: refusal, client, retryAfterMs: retryAfterMs ?? 0 } };
    this.#hold(socket, connection);
    return { connection: connection.serial, refusal: undefined };
  }

  /**
   * A listener cannot keep the server's own listener from a refused socket, which would parse requests from
   * it, and one for upgrades would change what the server does with them; so we hear of these events before
   * they are emitted. Errors of ours let the socket pass.
   */
  #watch(server, admits) {
    const { emit } = server;
    const entryOf = (socket) => acceptedSocket(socket)?.[this.#entry];
    server.emit = function (event, ...args) {
      if (event === 'connection' && !passes(admits, args[0])) return true;
      if (event === 'request') entryOf(args[0].socket)?.serve(args[1]);
      else if (event === 'stream') entryOf(args[0].session?.socket)?.serve(args[0]);
      else if (event === 'upgrade' || event === 'connect') entryOf(args[1])?.upgrade();
      return emit.call(this, event, ...args);
    };
  }

  #hold(socket, { serial }) {
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

  /** Closes idle connections of all threads, as long as the tracker is not destroyed. */
  #sweep(idleTimeoutMs) {
    const pause = Math.max(Math.ceil(idleTimeoutMs / 4), LEAST_SWEEP_MS);
    const look = () => {
      try {
        native.closeIdleConnections(this.#handle, idleTimeoutMs);
      } catch {
        return;
      }
      new Deadline(pause, look, { ref: false });
    };
    new Deadline(pause, look, { ref: false });
  }
}

/**
 * The socket that was accepted: below TLS it is another one than that of the request. Node has no public
 * name for it; where the private one should go, such sockets are idle as their bytes tell.
 */
function acceptedSocket(socket) {
  return socket?._parent ?? socket;
}

/** One socket: when something was last transferred, as far as this thread can see. */
class Entry {
  #handle;
  #activeAt = native.elapsed();
  /** HTTP is told by its requests and responses, everything else by the bytes that moved. */
  #speaksHttp = false;
  #responses = 0;
  #bytes = 0;
  #onResponseClosed = () => {
    this.#responses -= 1;
    this.#touch();
  };

  constructor(handle, serial, socket) {
    this.#handle = handle;
    this.serial = serial;
    this.socket = socket;
  }

  /** A request came: until its response has ended, the socket is busy. */
  serve(response) {
    this.#speaksHttp = true;
    this.#responses += 1;
    this.#touch();
    response.once('close', this.#onResponseClosed);
  }

  /** The socket changes to another protocol. */
  upgrade() {
    this.#speaksHttp = false;
  }

  end() {
    this.socket.destroy();
  }

  /** Bytes that moved since the last look count as moved now. Who is being served is never idle. */
  isIdleFor(ms) {
    const isBusy = this.#responses > 0;
    if (isBusy || (!this.#speaksHttp && this.#bytesMoved())) this.#touch();
    return !isBusy && native.elapsed() - this.#activeAt >= ms;
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

function passes(admits, socket) {
  try {
    return admits(socket);
  } catch (error) {
    process.emitWarning(`connections are not counted: ${error.message}`, 'SluiceWarning', error.code);
    return true;
  }
}

module.exports = { acceptedSocket, socketTableOf };
