'use strict';

const { endWithClient } = require('../http/closed-stream');
const { IDLE_LOOKS } = require('./served-socket');

/**
 * A session of HTTP/2 on a server that has stopped. After its GOAWAY new streams are ignored, and the bytes that arrive
 * do not show which frames they contain. So a PING is sent first. Its answer cannot arrive within the head of a request, so
 * after it every request that had begun before is known.
 */
class ServedSession {
  /** The accepted socket, below TLS. */
  socket;
  /** Requests that began before the server stopped may still arrive. */
  mayFinish = false;
  #session;
  /** The socket that its bytes are read from. */
  #stream;
  #stoppedAt;
  #looks = 0;
  /** Open streams; `undefined` for a session that was adopted, whose earlier streams are not known. */
  #streams;
  /** Bytes read up to the last answer to a PING. */
  #explained = 0;
  #isAsking = false;
  #isClosing = false;

  constructor(session, { socket, stream }, isNew) {
    this.socket = socket;
    this.#streams = isNew ? 0 : undefined;
    this.#session = session;
    this.#stream = stream;
  }

  open(stream) {
    if (this.#streams === undefined) return;
    this.#streams += 1;
    endWithClient(stream);
    stream.once('close', () => {
      this.#streams -= 1;
    });
  }

  /** The server has stopped. */
  stop(now) {
    this.#stoppedAt = now;
    this.mayFinish = !this.#isExplained();
    if (this.mayFinish) this.#ask();
  }

  /** Sends GOAWAY once nothing is in progress, or the time is over. True when something may have been in progress. */
  look(now, patience, isForced) {
    if (this.#session.destroyed) return false;
    if (this.#isClosing) return this.#end(isForced);
    this.#looks += 1;
    if (this.#looks <= IDLE_LOOKS && !isForced) return false;
    const isLate = now - this.#stoppedAt >= patience;
    if (!this.#isExplained() && !isLate) {
      this.#ask();
      return false;
    }
    const isUnknown = !this.#isExplained();
    this.#close();
    if (isForced) this.#end(isForced);
    return isUnknown;
  }

  #close() {
    this.#isClosing = true;
    this.#session.close();
  }

  /** After its GOAWAY, Node leaves a session open that has received half a frame. */
  #end(isForced) {
    if (isForced || this.#streams === 0) this.#session.destroy();
    return false;
  }

  #ask() {
    if (this.#isAsking || this.#session.destroyed) return;
    this.#isAsking = true;
    this.#session.ping((error) => {
      this.#isAsking = false;
      if (error === null || error === undefined) this.#explain();
    });
  }

  #explain() {
    this.#explained = this.#stream.bytesRead;
    this.mayFinish = false;
    if (this.#looks > IDLE_LOOKS && !this.#isClosing && !this.#session.destroyed) this.#close();
  }

  #isExplained() {
    return this.#stream.bytesRead <= this.#explained;
  }
}

module.exports = { ServedSession };
