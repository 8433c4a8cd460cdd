'use strict';

const { native } = require('../runtime/native');

/** A socket that is a connection of a tracker: when something was last transferred, as far as this thread can see. */
class TrackedSocket {
  #handle;
  #activeAt = native.elapsed();
  /** HTTP is active by its requests and responses, every other protocol by the bytes that moved. */
  #speaksHttp = false;
  #responses = 0;
  #bytes = 0;
  /** The latest request of HTTP/1, and the bytes read up to its end. Bytes after that are the head of the next one. */
  #request;
  #requestEnd;
  #onResponseClosed = () => {
    this.#responses -= 1;
    this.#touch();
    this.#findRequestEnd();
  };

  constructor(handle, serial, socket) {
    this.#handle = handle;
    this.serial = serial;
    this.socket = socket;
  }

  /** A request arrived. Until its response has ended, the socket is busy. */
  serve(response) {
    this.#speaksHttp = true;
    // Streams of HTTP/2 share their bytes with frames of the session.
    this.#request = response.stream === undefined ? response.req : undefined;
    this.#requestEnd = undefined;
    this.#touch();
    // A stream that its client cancelled has emitted its only 'close'.
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

  /** Bytes that moved since the last look count as moved now. A socket that serves a request is never idle. */
  isIdleFor(ms) {
    const isBusy = this.#responses > 0 || this.#isHeadArriving();
    if (isBusy || (!this.#speaksHttp && this.#haveBytesMoved())) this.#touch();
    return !isBusy && native.elapsed() - this.#activeAt >= ms;
  }

  #isHeadArriving() {
    if (this.#request === undefined) return false;
    if (this.#requestEnd === undefined) this.#findRequestEnd();
    return this.socket.bytesRead > (this.#requestEnd ?? Number.POSITIVE_INFINITY);
  }

  #findRequestEnd() {
    if (this.#request?.complete) this.#requestEnd = this.socket.bytesRead;
  }

  #haveBytesMoved() {
    const before = this.#bytes;
    this.#bytes = this.socket.bytesRead + this.socket.bytesWritten;
    return this.#bytes !== before;
  }

  #touch() {
    this.#activeAt = native.elapsed();
    native.touchConnection(this.#handle, this.serial);
  }
}

module.exports = { TrackedSocket };
