'use strict';

const { quotaExceeded } = require('../guard/refusal');

/**
 * One open socket: whose it is, and what its client may send. It counts until `release`, or until its connection is closed
 * from any thread.
 */
class Session {
  /** Whether nothing that arrives matters any more: the socket was told to close. */
  isOver = false;
  /** Ends the socket: called once where another than the socket closes the connection. */
  onEnded = () => {};
  #guard;
  #req;
  #key;
  #quotas;
  #limits;
  #connection = null;
  #isReleased = false;

  /** `quotas` are `{ messages, bytes }`, each of which may be null. Without any, what the client sends is not charged. */
  constructor(guard, req, { key, quotas }) {
    this.#guard = guard;
    this.#req = req;
    this.#key = key;
    this.#quotas = quotas;
  }

  /** The request of the handshake. */
  get request() {
    return this.#req;
  }

  get isReleased() {
    return this.#isReleased;
  }

  /** Counts as `connection` of a tracker, from now on. */
  hold(connection) {
    this.#connection = connection;
  }

  /** `limits` hold in the place of those of the limiters, where they are defined. */
  limitBy(limits) {
    this.#limits = limits;
  }

  /** Exempts what the client sends. */
  exempt() {
    this.#quotas = null;
  }

  /** The connection was closed, in whatever thread. */
  ended() {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.isOver = true;
    this.onEnded();
  }

  /** The socket has closed. Idempotent. */
  release() {
    this.#isReleased = true;
    this.isOver = true;
    this.#connection?.close();
  }

  /** Charges a message of so many bytes. Returns the refusal where its client is banned or has used its quota, or null. */
  receive(bytes) {
    const ban = this.#guard.banOf(this.#req);
    if (ban !== null) return ban;
    const decision = this.#guard.attempt(() => {
      this.#connection?.touch();
      return this.#quotas === null ? null : this.#charge(bytes);
    });
    return decision === null || decision.allowed ? null : quotaExceeded(decision);
  }

  /** Charges bytes of a message that was charged before. */
  receiveMore(bytes) {
    const decision = this.#guard.attempt(() => this.#chargeBytes(bytes));
    return decision === null || decision.allowed ? null : quotaExceeded(decision);
  }

  /** Charges both quotas or neither. */
  #charge(bytes) {
    const { messages } = this.#quotas;
    if (messages === null) return this.#chargeBytes(bytes);
    const counted = messages.charge(this.#key, 1, this.#limits.messages);
    if (!counted.allowed || this.#quotas.bytes === null || bytes === 0) return counted;
    const undo = messages.undoOf(this.#key, 1);
    const weighed = this.#chargeBytes(bytes);
    if (!weighed.allowed) undo();
    return weighed;
  }

  #chargeBytes(bytes) {
    const quota = this.#quotas?.bytes ?? null;
    return quota === null || bytes === 0 ? null : quota.charge(this.#key, bytes, this.#limits.bytes);
  }
}

module.exports = { Session };
