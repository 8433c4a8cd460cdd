'use strict';

/**
 * Looks, some ten milliseconds apart, after which an idle connection closes: at least 200 ms. Looks are counted instead of
 * time, because before each one the thread has a turn in which it reads what has arrived, however late it is.
 */
const IDLE_LOOKS = 20;

/** One connection of a server: whether a request or a handshake is in progress on it. */
class ServedSocket {
  /** The accepted socket. */
  socket;
  /** The socket that requests are read from: over TLS another one, `undefined` before the end of the handshake. */
  stream;
  /** The application ends it: it is an HTTP/2 session, or speaks another protocol. */
  isKept = false;
  /** It was accepted from the listen queue after the server had stopped. */
  isQueued = false;
  /** A request began before the server stopped. It is served although its head ends later. */
  mayFinish = false;
  /** Its last answer was sent. */
  isAnswered = false;
  /** The latest response that has not ended, and the one with `Connection: close`. */
  latest;
  closing;
  #requests = 0;
  #hasServed = false;
  /** Bytes read up to the end of the last request. Bytes after that are the head of the next one. */
  #explained = 0;
  /** A request that was answered before all of it had arrived. */
  #arriving;
  #beganAt;
  #looks = 0;

  constructor(socket, stream) {
    this.socket = socket;
    this.stream = stream;
  }

  get isServing() {
    return this.#requests > 0;
  }

  get hasServed() {
    return this.#hasServed;
  }

  /** The body of an answered request is still arriving. The connection counts as idle. */
  get isDiscarding() {
    return this.#arriving?.complete === false;
  }

  /** The handshake has ended. */
  secure(stream) {
    this.stream = stream;
    this.#looks = 0;
    this.#beganAt = undefined;
  }

  /** A request arrived. Until its response has ended, the connection is busy. */
  serve(req, res) {
    this.#requests += 1;
    this.#hasServed = true;
    this.#explain();
    this.latest = res;
    res.once('close', () => this.#served(req, res));
  }

  /** Takes over a connection that has been read before. `isIdle` is whether no request is in progress. */
  adopt(isIdle) {
    const { bytesRead } = this.socket;
    if (this.stream === undefined || bytesRead === 0) return;
    this.#hasServed = isIdle;
    this.#explained = isIdle ? this.stream.bytesRead : -1;
  }

  /** Whether the head of a request, or a handshake, has begun and not ended. */
  hasBegun() {
    if (this.stream === undefined) return this.socket.bytesRead > 0;
    if (this.#arriving !== undefined) {
      if (!this.#arriving.complete) return false;
      this.#arriving = undefined;
      this.#explain();
    }
    return this.stream.bytesRead > this.#explained;
  }

  /** The parser has found the begin of a head in the bytes that arrived with an earlier request. */
  begin() {
    this.#explained = -1;
  }

  /** The server has stopped. A request that has begun is served. */
  stop() {
    this.mayFinish = this.stream !== undefined && !this.isServing && this.hasBegun();
  }

  /**
   * The verdict: `'busy'`; `'late'` when what has begun takes longer than `patience` milliseconds; with nothing in progress,
   * `'quiet'` at first and then `'idle'`.
   */
  look(now, patience) {
    if (this.isKept || this.isAnswered || this.isServing) return 'busy';
    if (this.hasBegun()) {
      this.#beganAt ??= now;
      return now - this.#beganAt >= patience ? 'late' : 'busy';
    }
    this.#beganAt = undefined;
    this.#looks += 1;
    return this.#looks > IDLE_LOOKS ? 'idle' : 'quiet';
  }

  #served(req, res) {
    this.#requests -= 1;
    this.#looks = 0;
    if (this.latest === res) this.latest = undefined;
    if (this.closing === res) this.closing = undefined;
    if (req === undefined || !hasBody(req)) return;
    if (req.complete) this.#explain();
    else this.#arriving = req;
  }

  #explain() {
    this.#explained = this.stream?.bytesRead ?? 0;
  }
}

function hasBody({ headers }) {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length']) > 0;
}

module.exports = { hasBody, IDLE_LOOKS, ServedSocket };
