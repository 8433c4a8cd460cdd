'use strict';

/** The end of a longer head is not searched for. */
const LONGEST_HEAD = 16 * 1024;

const HEAD_END = '\r\n\r\n';
const LAST_CHUNK = '0\r\n\r\n';

/** Finds the end of one request of HTTP/1, on a socket that no parser reads. */
class RequestEnd {
  #head = '';
  /** Bytes of the body that are still to arrive; `undefined` before the end of the head, and for a chunked body. */
  #left;
  #tail = '';

  /** Whether this chunk completes the request. With `Expect`, the head does: the client waits for an answer. */
  isCompletedBy(chunk) {
    if (this.#left !== undefined) return this.#takes(chunk.length);
    if (this.#head === null) return this.#endsChunks(chunk.toString('latin1'));
    this.#head += chunk.toString('latin1');
    const end = this.#head.indexOf(HEAD_END);
    if (end < 0) {
      if (this.#head.length > LONGEST_HEAD) this.#head = null;
      return false;
    }
    return this.#begins(this.#head.slice(0, end + 2), this.#head.slice(end + HEAD_END.length));
  }

  #begins(head, body) {
    this.#head = null;
    if (/\r\nexpect:/i.test(head)) return true;
    if (/\r\ntransfer-encoding:/i.test(head)) return this.#endsChunks(body);
    this.#left = Number(/\r\ncontent-length:[ \t]*(\d+)/i.exec(head)?.[1] ?? 0);
    return this.#takes(body.length);
  }

  #takes(bytes) {
    this.#left -= bytes;
    return this.#left <= 0;
  }

  #endsChunks(text) {
    this.#tail = (this.#tail + text).slice(-LAST_CHUNK.length);
    return this.#tail === LAST_CHUNK;
  }
}

module.exports = { RequestEnd };
