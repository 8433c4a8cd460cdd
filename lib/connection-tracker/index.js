'use strict';

const { Connection } = require('./connection');
const { FleetPlaces, lease, withScopeInWords } = require('./fleet');
const { DrainedSubscription } = require('./drained-subscription');
const { trackerOptions } = require('./options');
const { socketTableOf } = require('./socket-table');
const { checkReady } = require('../rate-limiter/awaited');
const { Deadline } = require('../runtime/deadline');
const { SluiceError } = require('../runtime/errors');
const { handlesOf, native } = require('../runtime/native');
const { NONE } = require('../runtime/none');
const { openNamed } = require('../runtime/on-mismatch');
const { withMachine } = require('../runtime/shared-scope');
const {
  boolean,
  checkName,
  checkOptions,
  checkTextKey,
  func,
  integer,
  owned,
  parseDuration,
} = require('../runtime/schema');
const { encode } = require('../runtime/value');
const {
  kAdmitSocket,
  kAssignSocket,
  kBusiest,
  kCountBanned,
  kCountWithoutAddress,
  kOpenSession,
  kOpenSessionAsync,
} = require('./symbols');

const OPEN_SCHEMA = { id: (value) => value, detail: (value) => value, onClose: func };
const LIST_SCHEMA = { limit: integer(1), client: (value) => value };
const DESTROY_SCHEMA = { everywhere: boolean };
const DEFAULT_LIST_LIMIT = 1000;
const DEFAULT_DRAIN_TIMEOUT = '10s';

const collected = handlesOf(native.releaseConnectionTracker);

class ConnectionTracker {
  #name;
  #handle;
  /** What the machines of a fleet count together, where the scope says so. */
  #fleet;
  /** Pending calls of `drain`: called when no connection is left, or the tracker is destroyed. */
  #draining = new Set();
  #drained = new DrainedSubscription(this.#draining);

  constructor(name, options) {
    checkName('ConnectionTracker', name);
    this.#name = name;
    const checked = options === undefined ? undefined : trackerOptions(options);
    const { machine, native: shared } = checked?.scope ?? NONE;
    const open = (reconfigures) =>
      native.openConnectionTracker(name, withScopeInWords(checked), reconfigures, machine, shared, lease.ms);
    this.#handle = openNamed('ConnectionTracker', name, options, open);
    collected.register(this, this.#handle);
    this.#fleet = new FleetPlaces(name, this.#handle);
    // Every thread that may open connections closes those that are idle.
    if (this.#mayHaveIdleTimeout()) this.#socketTable();
  }

  static destroy(name, options = {}) {
    checkName('ConnectionTracker', name);
    const { everywhere = false } = checkOptions('destroy', options, DESTROY_SCHEMA);
    return native.destroyConnectionTracker(name, everywhere);
  }

  get name() {
    return this.#name;
  }

  tryOpen(client, options = {}) {
    const session = checkSession('tryOpen', client, options);
    this.#fleet.checkSync('tryOpen');
    return this[kOpenSession](client, session).connection;
  }

  async tryOpenAsync(client, options = {}) {
    const session = checkSession('tryOpenAsync', client, options);
    return (await this[kOpenSessionAsync](client, session)).connection;
  }

  /** Resolves once the server that counts can be asked; at once where there is none. */
  async ready(options = {}) {
    const timeoutMs = checkReady(options);
    if (this.#fleet.isAsked) await this.#fleet.ready(timeoutMs);
  }

  attach(server, options) {
    this.#socketTable().attach(server, options);
    return this;
  }

  get count() {
    return native.countConnections(this.#handle);
  }

  countFor(client) {
    checkClient(client);
    return native.countConnectionsFor(this.#handle, client);
  }

  get(id) {
    checkTextKey('connection id', id);
    const found = native.connectionById(this.#handle, id);
    return found === null ? undefined : Connection.found(this, this.#handle, found);
  }

  close(id) {
    return this.get(id)?.close() ?? false;
  }

  list(options = {}) {
    const { limit = DEFAULT_LIST_LIMIT, client } = checkOptions('list', options, LIST_SCHEMA);
    if (client !== undefined) checkClient(client);
    const found = native.listConnections(this.#handle, limit, client);
    return found.map((connection) => Connection.found(this, this.#handle, connection));
  }

  closeIdle(olderThan) {
    const ms =
      olderThan === undefined ? undefined : parseDuration(olderThan, 'closeIdle olderThan', { least: 0 });
    return native.closeIdleConnections(this.#handle, ms);
  }

  /**
   * Resolves with true once no connection of any thread of this process is left, with false when some are after `timeout`.
   */
  async drain(options = {}) {
    const checked = checkOptions('drain', options, {
      timeout: (value, name) => parseDuration(value, name, { least: 0 }),
    });
    const timeout = checked.timeout ?? parseDuration(DEFAULT_DRAIN_TIMEOUT);
    const resets = native.resets();
    for (const due = native.elapsed() + timeout; this.#ownCount > 0; ) {
      const rest = due - native.elapsed();
      if (rest <= 0) return false;
      await this.#lastClosed(rest);
      if (native.resets() !== resets) throw this.#resetError();
    }
    return true;
  }

  stats() {
    const { processes, deaths, machine, ...stats } = withMachine(native.connectionTrackerStats(this.#handle));
    const counts = {
      count: stats.count,
      opened: stats.opened,
      closed: stats.closed,
      refused: {
        max: stats.refusedMax,
        maxPerClient: stats.refusedMaxPerClient,
        opens: stats.refusedOpens,
        banned: stats.refusedBanned,
      },
      messages: { allowed: stats.messagesAllowed, refused: stats.messagesRefused },
      bytes: { allowed: stats.bytesAllowed, refused: stats.bytesRefused },
      withoutAddress: stats.withoutAddress,
      perThread: stats.perThread,
    };
    const fleet = this.#fleet.stats();
    if (fleet !== undefined) return { ...counts, fleet };
    return machine === undefined ? counts : { ...counts, processes, deaths, machine };
  }

  /** `{ connection, refusal }`, one of them null. Without `checkClient` limits per client do not apply. */
  [kOpenSession](client, session) {
    const { detail, checkClient } = session;
    const bytes = detail === undefined ? undefined : encode(detail, 'detail');
    return this.#open(client, session, bytes, this.#fleet.take(checkClient ? client : undefined, true));
  }

  /** As `kOpenSession`; asks the server of a fleet first. */
  async [kOpenSessionAsync](client, session) {
    const { detail, checkClient } = session;
    if (!this.#fleet.isAsked) return this[kOpenSession](client, session);
    const bytes = detail === undefined ? undefined : encode(detail, 'detail');
    const { place, reason } = await this.#fleet.ask(checkClient ? client : undefined, true);
    if (place === undefined) return { connection: null, refusal: { reason, client, retryAfterMs: 0 } };
    return this.#open(client, session, bytes, place);
  }

  #open(client, { id, detail, onClose, checkClient }, bytes, place) {
    const table = onClose && this.#socketTable();
    const request = { id, detail: bytes, subscription: table?.subscription, checkClient, place };
    const opened = owned(native.openConnection(this.#handle, client, request));
    if (opened.kind === 'refused') {
      const { reason, retryAfterMs } = opened;
      return { connection: null, refusal: { reason, client, retryAfterMs } };
    }
    try {
      const connection = new Connection(this, this.#handle, opened, detail);
      table?.holdSession(opened.serial, onClose);
      return { connection, refusal: null };
    } catch (error) {
      // A stack overflow. The caller does not get the connection, so it could never close it.
      native.closeConnection(this.#handle, opened.serial, true);
      throw error;
    }
  }

  /** `{ connection }`, or `{ refusal: { reason, client, retryAfterMs } }`. */
  [kAdmitSocket](socket, options) {
    return this.#socketTable().admit(socket, options);
  }

  /** The refusal, `{ reason, client, retryAfterMs }`, or null; a promise of it where a server is asked. */
  [kAssignSocket](socket, client) {
    return this.#socketTable().assign(socket, client);
  }

  /** The clients with most open connections: `[{ client, count }]`. */
  [kBusiest](most) {
    return native.busiestClients(this.#handle, most);
  }

  [kCountBanned]() {
    native.countBannedConnection(this.#handle);
  }

  [kCountWithoutAddress]() {
    native.countConnectionWithoutAddress(this.#handle);
  }

  /** Open connections of this process. */
  get #ownCount() {
    return native.countOwnConnections(this.#handle);
  }

  #resetError() {
    return new SluiceError('CLOSED', `ConnectionTracker "${this.#name}" was reset while it drained`);
  }

  /** Where processes share the tracker, another one may bring a timeout into force. */
  #mayHaveIdleTimeout() {
    return (
      typeof native.connectionTrackerIdleTimeout(this.#handle) === 'number' ||
      native.connectionTrackerIsShared(this.#handle)
    );
  }

  #socketTable() {
    return socketTableOf(this, this.#handle, this.#fleet);
  }

  /** Settles when the last connection closes, or after `ms`. */
  #lastClosed(ms) {
    return new Promise((resolve) => {
      const done = () => {
        deadline.cancel();
        this.#draining.delete(done);
        resolve(undefined);
      };
      this.#draining.add(done);
      const deadline = new Deadline(ms, done);
      native.notifyDrained(this.#handle, this.#drained.begin());
      // The last connection may have closed before the subscription began.
      if (this.#ownCount === 0) done();
    });
  }
}

function checkClient(client) {
  checkTextKey('client', client);
}

function checkSession(method, client, options) {
  checkClient(client);
  const { id, detail, onClose } = checkOptions(method, options, OPEN_SCHEMA);
  if (id !== undefined) checkTextKey(`${method} id`, id);
  return { id, detail, onClose, checkClient: true };
}

module.exports = { ConnectionTracker };
