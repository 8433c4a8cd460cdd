'use strict';

const { ConnectionTracker } = require('../connection-tracker');
const { kOpenSessionAsync } = require('../connection-tracker/symbols');
const { Guard } = require('../guard/guard');
const { keyOf } = require('../guard/request-key');
const { fitted } = require('../runtime/fitted-name');
const { owned } = require('../runtime/schema');
const { BannedSockets } = require('./banned-sockets');
const { MessageQuota } = require('./message-quota');
const { socketOptions } = require('./options');
const { Session } = require('./session');

/**
 * Stands before WebSockets: a guard decides on each handshake, a tracker counts the open sockets, and two limiters charge
 * what their clients send. All of them are named, and shared by all threads.
 */
class SocketGuard {
  #key;
  #quotas;
  #banned;

  /** `owner` is what error messages call the caller: the adapter's name. */
  constructor(owner, options) {
    const { guard, sockets } = socketOptions(owner, options);
    this.owner = owner;
    this.options = sockets;
    this.#key = guard.key === undefined ? undefined : onceFor(guard.key);
    this.guard = new Guard(owner, this.#key === undefined ? guard : owned(guard, { key: this.#key }));
    this.sessions = this.#openTracker(sockets.connections, guard);
    const quotaOf = (unit) =>
      sockets[unit] === undefined ? null : new MessageQuota(this.guard, unit, sockets[unit]);
    this.#quotas = { messages: quotaOf('messages'), bytes: quotaOf('bytes') };
    this.#banned = new BannedSockets(this.guard);
  }

  get messages() {
    return this.#quotas.messages?.limiter ?? null;
  }

  get bytes() {
    return this.#quotas.bytes?.limiter ?? null;
  }

  /**
   * Decides on a handshake: the ban first, then the connection, then the rate. Resolves with `{ decision, session }`; the
   * session is null where the handshake is refused. What a function of the user throws is the rejection.
   */
  async decide(req) {
    const { guard } = this;
    const refused = await guard.admitRequest(req, req, guard.rule);
    if (refused !== null) return { decision: refused, session: null };
    const key = this.#key === undefined ? null : keyOf(await this.#key(req));
    const session = new Session(guard, req, { key: key ?? guard.clientOf(req).key, quotas: this.#quotas });
    try {
      const decision = (await this.#open(session, key)) ?? (await guard.decideRate(req, req, guard.rule));
      // A guard that exists may count requests in progress. A handshake has no answer that it would see.
      decision.releasePlaces();
      if (decision.allowed) {
        if (decision.outcome === 'skipped') session.exempt();
        else session.limitBy(await this.#limitsFor(req));
        return { decision, session };
      }
      session.release();
      return { decision, session: null };
    } catch (error) {
      session.release();
      throw error;
    }
  }

  /** The session has a socket, which is closed when its client is banned. */
  opened(session) {
    this.#banned.watch(session);
  }

  /** The decision that refuses the session; null where it is counted, or there is nothing to count. */
  async #open(session, key) {
    if (this.sessions === null) return null;
    const { request } = session;
    // A proxy that names no client carries several, and an unknown client may be many.
    const checkClient = key !== null || this.guard.judgedOf(request) !== undefined;
    const client = key ?? this.guard.clientOf(request).key;
    const onClose = () => session.ended();
    const how = owned({ checkClient, onClose });
    const opened = await this.guard.attemptAsync(() => this.sessions[kOpenSessionAsync](client, how));
    if (opened === null) return null;
    if (opened.refusal !== null) return this.guard.refuseSession(request, opened.refusal);
    session.hold(opened.connection);
    return null;
  }

  async #limitsFor(req) {
    const { messages, bytes } = this.#quotas;
    return { messages: await messages?.limitFor(req), bytes: await bytes?.limitFor(req) };
  }

  /** The scope and `onMismatch` are the guard's, unless the connections have their own. */
  #openTracker(connections, { scope, onMismatch }) {
    if (connections === undefined) return null;
    const ofGuard = owned();
    if (scope !== undefined) ofGuard.scope = scope;
    if (onMismatch !== undefined) ofGuard.onMismatch = onMismatch;
    const own = owned(ofGuard, connections, { clients: 'opaque' });
    return new ConnectionTracker(fitted(`${this.guard.name}:sockets`), own);
  }
}

/** Calls `key` once for each request. */
function onceFor(key) {
  const kKey = Symbol('sluice.key');
  return (req) => {
    if (!Object.hasOwn(req, kKey)) req[kKey] = key(req);
    return req[kKey];
  };
}

module.exports = { SocketGuard };
