'use strict';

/** On a connection: the policies that its client was sent last, by limiter. */
const kSent = Symbol('sluice.sentPolicies');

/** Whether the answer to one request shows its policies: a connection shows them once, and again when they differ. */
class PolicyOnce {
  #connection;
  #shows;

  constructor(connection) {
    this.#connection = connection;
  }

  /** The same answer with each call: a decision may be asked for its headers again. */
  shows(limiter, policies) {
    this.#shows ??= isNew(this.#connection, limiter, policies);
    return this.#shows;
  }
}

function isNew(connection, limiter, policies) {
  connection[kSent] ??= new Map();
  const sent = connection[kSent];
  if (sent.get(limiter) === policies) return false;
  sent.set(limiter, policies);
  return true;
}

/** For the answer to a request of Node's; null where its connection has ended, so that every answer shows them. */
function policyOnceFor({ socket, stream }) {
  const connection = stream === undefined ? socket : stream.session;
  return connection ? new PolicyOnce(connection) : null;
}

module.exports = { policyOnceFor };
