'use strict';

const { kDecide, kReceipt, kUndo } = require('../rate-limiter/symbols');
const { fitted } = require('../runtime/fitted-name');
const { integer, owned } = require('../runtime/schema');
const { after } = require('../guard/user-function');

const checkLimit = integer(1);

/** A quota of all messages, or bytes, that the sockets of one client may send. `options` are those of its limiter. */
class MessageQuota {
  #limit;
  #option;

  /** `unit` is 'messages' or 'bytes'. The limiter counts as one of the guard's. */
  constructor(guard, unit, options) {
    const { limit } = options;
    this.#limit = typeof limit === 'function' ? limit : undefined;
    this.#option = `what ${unit}.limit returned`;
    const rule = guard.routeRule(fitted(`${guard.name}:${unit}`), owned({ rateLimit: options }));
    this.limiter = rule.limiter;
  }

  /** The limit for the sockets of a handshake; `undefined` where it is the limiter's own. */
  limitFor(req) {
    if (this.#limit === undefined) return undefined;
    return after(this.#limit(req), (limit) => checkLimit(limit, this.#option));
  }

  charge(key, units, limit) {
    return this.limiter[kDecide](key, units, limit);
  }

  /** What takes the last charge back. */
  undoOf(key, units) {
    const receipt = this.limiter[kReceipt](key, units);
    return () => this.limiter[kUndo](receipt);
  }
}

module.exports = { MessageQuota };
