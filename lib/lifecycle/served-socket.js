'use strict';

/**
 * Looks, some ten milliseconds apart, after which a connection that is idle closes: 200 ms at least. They are counted, as
 * each has a turn before it in which the thread reads what has arrived, however late it is.
 */
const IDLE_LOOKS = 20;

/** One connection of a server: whether a request or a handshake is under way on it. */
class ServedSocket {
  /** As it was accepted. */
  socket;
  /** What requests are read from: over TLS another one, and none before the end of the handshake. */
  stream;
  /** It is the application's, or another protocol's, to end. */
  isKept = false;
  /** It was accepted after the server had stopped, from the listen queue. */
  isQueued = false;
  /** A request began before the server stopped, and is served although its head ends later. */
  mayFinish = false;
  /** It was answered for the last time. */
  isAnswered = false;
  /** Its latest response that has not ended, and the one that says that the connection closes. */
  latest;
  closing;
  #requests = 0;
  #hasServed = false;
  /** Bytes up to the end of the last request: what comes after is the head of the next. */
  #explained = 0;
  /** A request that was answered before it had arrived as a whole. */
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

  /** A request was answered whose body is still sent: the connection is as good as idle. */
  get isDiscarding() {
    return this.#arriving?.complete === false;
  }

  /** The handshake has ended. */
  secure(stream) {
    this.stream = stream;
    this.#looks = 0;
    this.#beganAt = undefined;
  }

  /** A request came: until its answer has ended, the connection is in use. */
  serve(req, res) {
    this.#requests += 1;
    this.#hasServed = true;
    this.#explain();
    this.latest = res;
    res.once('close', () => this.#served(req, res));
  }

  /** Known from now on, though not what was read before. `isIdle` says that no request is under way. */
  adopt(isIdle) {
    const { bytesRead } = this.socket;
    if (this.stream === undefined || bytesRead === 0) return;
    this.#hasServed = isIdle;
    this.#explained = isIdle ? this.stream.bytesRead : -1;
  }

  /** The head of a request, or a handshake, has begun and not ended. */
  hasBegun() {
    if (this.stream === undefined) return this.socket.bytesRead > 0;
    if (this.#arriving !== undefined) {
      if (!this.#arriving.complete) return false;
      this.#arriving = undefined;
      this.#explain();
    }
    return this.stream.bytesRead > this.#explained;
  }

  /** The server's parser says that a head has begun, in the bytes that an earlier request came with. */
  begin() {
    this.#explained = -1;
  }

  /** The server has stopped: a request that has begun is served. */
  stop() {
    this.mayFinish = this.stream !== undefined && !this.isServing && this.hasBegun();
  }

  /**
   * What becomes of it, with `patience` in milliseconds for what has begun: it is `'busy'`, `'late'`, or nothing is under
   * way, `'quiet'` at first and then `'idle'`.
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

module.exports = { IDLE_LOOKS, ServedSocket };
