'use strict';

const { Connection } = require('./connection');
const { Deadline } = require('./deadline');
const { invalidOption } = require('./errors');
const { native, subscribe } = require('./native');
const { DEFAULT_IPV6_PREFIX, checkPrefix } = require('./client-key');
const {
  checkName,
  checkOptions,
  checkTextKey,
  duration,
  func,
  integer,
  nativeQuota,
  oneOf,
  parseDuration,
  quota,
} = require('./options');
const { socketTableOf } = require('./socket-table');
const { encode } = require('./value');

const SCHEMA = {
  max: integer(1),
  maxPerClient: integer(1),
  clients: oneOf('ip', 'opaque'),
  ipv6Prefix: checkPrefix,
  opens: quota,
  messages: quota,
  bytes: quota,
  idleTimeout: duration,
};

const OPEN_SCHEMA = { id: (value) => value, detail: (value) => value, onClose: func };
const LIST_SCHEMA = { limit: integer(1), client: (value) => value };
const DEFAULT_LIST_LIMIT = 1000;
const DEFAULT_DRAIN_TIMEOUT = '10s';

/** For the middleware: a connection for the socket of a request, opened at most once. */
const kAdmitSocket = Symbol('sluice.admitSocket');
/** For the guard: one more socket that was refused at accept as its client is banned. */
const kCountBanned = Symbol('sluice.countBanned');

const collected = new FinalizationRegistry((handle) => native.releaseConnectionTracker(handle));

class ConnectionTracker {
  #name;
  #handle;
  /** Told when no connection is left: what `drain` waits for. */
  #draining = new Set();
  #drained;

  constructor(name, options) {
    checkName('ConnectionTracker', name);
    this.#name = name;
    const checked = options === undefined ? undefined : toNative(options);
    this.#handle = native.openConnectionTracker(name, checked);
    collected.register(this, this.#handle);
    // Whoever may open connections closes those that are idle.
    if (typeof native.connectionTrackerIdleTimeout(this.#handle) === 'number') this.#socketTable();
  }

  static destroy(name) {
    checkName('ConnectionTracker', name);
    return native.destroyConnectionTracker(name);
  }

  get name() {
    return this.#name;
  }

  tryOpen(client, options = {}) {
    checkClient(client);
    const { id, detail, onClose } = checkOptions('tryOpen', options, OPEN_SCHEMA);
    if (id !== undefined) checkTextKey('tryOpen id', id);
    const bytes = detail === undefined ? undefined : encode(detail, 'detail');
    const subscription = onClose && this.#socketTable().subscription;
    const request = { id, detail: bytes, subscription, checkClient: true };
    const { connection } = native.openConnection(this.#handle, client, request);
    if (!connection) return null;
    if (onClose) this.#socketTable().holdSession(connection.serial, onClose);
    return new Connection(this, this.#handle, connection, detail);
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

  /** True once no connection of any thread is left; false when some are after `timeout`. */
  async drain(options = {}) {
    const checked = checkOptions('drain', options, {
      timeout: (value, name) => parseDuration(value, name, { least: 0 }),
    });
    const timeout = checked.timeout ?? parseDuration(DEFAULT_DRAIN_TIMEOUT);
    for (const due = native.elapsed() + timeout; this.count > 0; ) {
      const rest = due - native.elapsed();
      if (rest <= 0) return false;
      await this.#lastClosed(rest);
    }
    return true;
  }

  stats() {
    const stats = native.connectionTrackerStats(this.#handle);
    return {
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
      perThread: stats.perThread,
    };
  }

  /** `{ connection }`, or `{ refusal: { reason, client, retryAfterMs } }`. */
  [kAdmitSocket](socket, options) {
    return this.#socketTable().admit(socket, options);
  }

  [kCountBanned]() {
    native.countBannedConnection(this.#handle);
  }

  #socketTable() {
    return socketTableOf(this, this.#handle, native.connectionTrackerIdleTimeout(this.#handle));
  }

  /** Settles when the last connection closes, or after `ms`. */
  #lastClosed(ms) {
    return new Promise((resolve) => {
      const done = () => {
        deadline.cancel();
        this.#draining.delete(done);
        resolve();
      };
      this.#draining.add(done);
      const deadline = new Deadline(ms, done);
      this.#drained ??= subscribe(() => {
        for (const settle of [...this.#draining]) settle();
      });
      native.notifyDrained(this.#handle, this.#drained);
      // It may have closed before we asked to be told.
      if (this.count === 0) done();
    });
  }
}

function checkClient(client) {
  checkTextKey('client', client);
}

function toNative(options) {
  const checked = checkOptions('ConnectionTracker', options, SCHEMA);
  const { max, maxPerClient, clients = 'ip', ipv6Prefix = DEFAULT_IPV6_PREFIX, idleTimeout } = checked;
  if (clients === 'opaque' && checked.ipv6Prefix !== undefined) {
    throw invalidOption('ConnectionTracker ipv6Prefix', ipv6Prefix, 'nothing, with clients: "opaque"');
  }
  const optional = (given) => (given === undefined ? undefined : nativeQuota(given));
  return {
    max,
    maxPerClient,
    opaqueClients: clients === 'opaque',
    ipv6Prefix,
    opens: optional(checked.opens),
    messages: optional(checked.messages),
    bytes: optional(checked.bytes),
    idleTimeoutMs: idleTimeout,
  };
}

module.exports = { ConnectionTracker, kAdmitSocket, kCountBanned };
