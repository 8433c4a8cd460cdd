'use strict';

/** The pause between two looks at the connections. */
const LOOK_MS = 500;

/** How much longer than announced an idle connection is kept, as in Node: a request may be in flight. */
const KEEP_ALIVE_BUFFER_MS = 1000;

const TIMED_OUT = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n';

/**
 * The timeouts of an HTTP server for connections that it gets by its `'connection'` event. Bun applies `headersTimeout`,
 * `requestTimeout` and `keepAliveTimeout` only to connections that it has accepted itself.
 */
class HttpTimeouts {
  #server;
  #connections = new Map();
  #looking;

  constructor(server) {
    this.#server = server;
    server.prependListener('request', (req, res) => this.#begin(req, res));
    // A connection that changes to another protocol belongs to the application.
    for (const event of ['upgrade', 'connect']) {
      server.prependListener(event, (_req, socket) => this.#forget(socket));
    }
  }

  watch(socket) {
    const entry = { since: performance.now(), bytes: 0, requests: 0, latest: undefined, isFirst: true };
    this.#connections.set(socket, entry);
    socket.once('close', () => this.#forget(socket));
    this.#looking ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  #forget(socket) {
    this.#connections.delete(socket);
    if (this.#connections.size > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  #begin(req, res) {
    const { socket } = req;
    const entry = this.#connections.get(socket);
    if (entry === undefined) return;
    Object.assign(entry, { since: performance.now(), latest: req, isFirst: false });
    entry.requests += 1;
    res.once('close', () => {
      entry.requests -= 1;
      entry.since = performance.now();
      entry.bytes = socket.bytesRead;
    });
  }

  #look() {
    const { headersTimeout, requestTimeout, keepAliveTimeout } = this.#server;
    const now = performance.now();
    const isOver = ({ since }, ms) => ms > 0 && now - since >= ms;
    for (const [socket, entry] of this.#connections) {
      if (entry.requests > 0) {
        if (!entry.latest.complete && isOver(entry, requestTimeout)) this.#expire(socket);
      } else if (entry.isFirst || socket.bytesRead > entry.bytes) {
        if (isOver(entry, headersTimeout)) this.#expire(socket);
      } else if (keepAliveTimeout > 0 && isOver(entry, keepAliveTimeout + KEEP_ALIVE_BUFFER_MS)) {
        socket.destroy();
      }
    }
  }

  /** As in Node: an application with a listener for `'clientError'` answers itself. */
  #expire(socket) {
    this.#forget(socket);
    const error = Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
    if (this.#server.emit('clientError', error, socket)) return;
    if (socket.writable) socket.write(TIMED_OUT);
    socket.destroySoon();
  }
}

module.exports = { HttpTimeouts };
