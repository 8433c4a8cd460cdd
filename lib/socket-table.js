'use strict';

const { ClientAddress } = require('./client-key');
const { invalidOption } = require('./errors');
const { native, subscribe } = require('./native');
const { checkOptions, func, strings } = require('./options');
const { refuseSocket } = require('./refuse-socket');

const ATTACH_SCHEMA = { onRefused: func, trustedProxies: strings };

/** The shortest pause between two looks for idle sockets, and the longest that a Node timer takes. */
const LEAST_SWEEP_MS = 10;
const MOST_SWEEP_MS = 2 ** 31 - 1;

/** One table per tracker and thread, whichever objects stand for the tracker. */
const tables = new Map();

function socketTableOf(tracker, handle, idleTimeoutMs) {
  let table = tables.get(handle);
  if (table === undefined) tables.set(handle, (table = new SocketTable(tracker, handle, idleTimeoutMs)));
  return table;
}

/** The sockets of this thread that are connections of one tracker, and the servers they come from. */
class SocketTable {
  /** Kept so that its handle stays in use. */
  #tracker;
  #handle;
  #servers = new WeakSet();
  #entries = new WeakMap();
  #byId = new Map();
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
    if (typeof server?.emit !== 'function' || typeof server.listen !== 'function') {
      throw invalidOption('attach server', server, 'a server of net, tls, http, https or http2');
    }
    const proxies = trustedProxies?.length > 0 ? new ClientAddress({ trustedProxies }) : undefined;
    if (this.#servers.has(server)) return;
    this.#servers.add(server);
    this.#refuseAtAccept(server, (socket) => {
      const checkClient = !proxies?.isTrusted(socket.remoteAddress);
      const { connection, refusal } = this.admit(socket, { checkClient });
      if (connection === undefined) refuseSocket(server, socket, refusal, onRefused);
      return connection !== undefined;
    });
    server.on('request', (request, response) => this.#entries.get(request.socket)?.serve(response));
  }

  /** The connection of a socket, opened at most once, or why there is none. */
  admit(socket, { checkClient = true } = {}) {
    const known = this.#entries.get(socket);
    if (known !== undefined) return { connection: known.serial };
    const client = socket.remoteAddress;
    const request = { subscription: this.#subscription, checkClient };
    const { connection, refusal, retryAfterMs } = native.openConnection(this.#handle, client, request);
    if (!connection) return { refusal: { reason: refusal, client, retryAfterMs: retryAfterMs ?? 0 } };
    this.#hold(socket, connection);
    return { connection: connection.serial };
  }

  /**
   * A listener cannot keep the server's own listener from a refused socket, which would parse requests
   * from it; so what emits the event asks first. Errors of ours let the socket pass.
   */
  #refuseAtAccept(server, admits) {
    const emit = server.emit;
    server.emit = function (event, ...args) {
      if (event === 'connection' && !passes(admits, args[0])) return true;
      return emit.call(this, event, ...args);
    };
  }

  #hold(socket, { serial, id }) {
    const entry = new Entry(this.#handle, serial, socket);
    this.#entries.set(socket, entry);
    this.#byId.set(id, entry);
    const release = () => {
      this.#byId.delete(id);
      native.closeConnection(this.#handle, serial, true);
    };
    if (socket.destroyed) release();
    else socket.once('close', release);
  }

  #closeWhenAsked(id, ifIdleMs) {
    const entry = this.#byId.get(id);
    if (entry === undefined || (ifIdleMs !== undefined && ifIdleMs !== null && entry.idleMs() < ifIdleMs)) return;
    entry.socket.destroy();
  }

  #sweep(idleTimeoutMs) {
    const pause = Math.min(Math.max(Math.ceil(idleTimeoutMs / 4), LEAST_SWEEP_MS), MOST_SWEEP_MS);
    setInterval(() => {
      for (const entry of this.#byId.values()) {
        if (entry.idleMs() >= idleTimeoutMs) entry.socket.destroy();
      }
    }, pause).unref();
  }
}

/** One socket: when something was last transferred, as far as this thread can see. */
class Entry {
  #handle;
  #bytes = 0;
  #activeAt = native.clockNow();
  #responses = 0;
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
    this.#responses += 1;
    this.#touch();
    response.once('close', this.#onResponseClosed);
  }

  /** Bytes that moved since the last look, outside requests, count as moved now. */
  idleMs() {
    const bytes = this.socket.bytesRead + this.socket.bytesWritten;
    if (this.#responses > 0 || bytes !== this.#bytes) this.#touch();
    return native.clockNow() - this.#activeAt;
  }

  #touch() {
    this.#bytes = this.socket.bytesRead + this.socket.bytesWritten;
    this.#activeAt = native.clockNow();
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

module.exports = { socketTableOf };
