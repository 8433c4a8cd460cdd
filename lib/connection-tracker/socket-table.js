'use strict';

const { AsyncResource } = require('node:async_hooks');
const { AttachedServers } = require('./attached-servers');
const { ClientAddress } = require('../client-key/client-address');
const { IdleSweep } = require('./idle-sweep');
const { native, subscribe, unsubscribe } = require('../runtime/native');
const { checkOptions, func, owned, strings } = require('../runtime/schema');
const { endWithClient } = require('../http/closed-stream');
const { refuseSocket } = require('../http/refuse-socket');
const { CHANNELS, publish } = require('../observation/channels');
const { refusedBodyOption } = require('../http/refused-body');
const { acceptedSocket, hasLostAddress, keepAddresses, remoteAddressOf } = require('../http/remote-address');
const { checkServer } = require('../http/server-closing');
const { HOOK_ORDER, hookServer } = require('../http/server-hook');
const { TrackedSocket } = require('./tracked-socket');
const { warn } = require('../runtime/warn');
const { warningInstead } = require('../runtime/warn-of-throw');
const { NONE } = require('../runtime/none');

const noop = () => {};

const ATTACH_SCHEMA = { onRefused: func, trustedProxies: strings, refusedBody: refusedBodyOption };

/** One table for each tracker of this thread, however many objects it has, until the tracker is destroyed. */
const tables = new Map();

function socketTableOf(tracker, handle, fleet) {
  let table = tables.get(handle);
  if (table === undefined) {
    table = new SocketTable(tracker, handle, fleet);
    tables.set(handle, table);
  }
  table.sweep();
  return table;
}

/**
 * The sockets and sessions of this thread that are connections of one tracker, and the servers that sockets come from. A
 * socket or session ends when any thread closes its connection.
 */
class SocketTable {
  /** Held so that its handle stays in use. */
  #tracker;
  #handle;
  #fleet;
  /** By server: its trusted proxies, whose connections do not count for a client. */
  #servers = new WeakMap();
  /** The property of a socket that holds its entry. Not a map: http2 wraps sockets in proxies of other identity. */
  #entry = Symbol('sluice.connection');
  /** By serial, as text. An id can be used again, a serial is not. */
  #entries = new Map();
  #subscription;
  #attached = new AttachedServers();
  #idleSweep;
  #isEnded = false;

  constructor(tracker, handle, fleet) {
    this.#tracker = tracker;
    this.#handle = handle;
    this.#fleet = fleet;
    this.#idleSweep = new IdleSweep(handle);
    // Sockets and servers hold the table. Without any, no delivery matters.
    this.#subscription = subscribe((delivery) => this.#receive(delivery), { holds: false });
    native.subscribeToConnectionTracker(handle, this.#subscription);
  }

  /** From now on each socket of the server is a connection, or is refused before its server sees a byte of it. Idempotent. */
  attach(server, options = {}) {
    const { onRefused: given, trustedProxies, refusedBody } = checkOptions('attach', options, ATTACH_SCHEMA);
    const onRefused = given && this.#warning(given);
    checkServer('attach server', server);
    const proxies = trustedProxies?.length > 0 ? new ClientAddress({ trustedProxies }) : undefined;
    const isKnown = this.#servers.has(server);
    if (!isKnown || trustedProxies !== undefined) this.#servers.set(server, proxies);
    if (isKnown) return;
    keepAddresses(server);
    this.#watch(server, (socket) => {
      // The tracker was destroyed. The delivery that says so may not have arrived yet.
      if (this.#isEnded) return true;
      const address = remoteAddressOf(socket);
      if (address === undefined && hasLostAddress(socket)) return this.#drop(socket);
      const checkClient = !this.#servers.get(server)?.isTrusted(address);
      const conclude = ({ connection, refusal }) => {
        if (connection === undefined) refuseSocket(server, socket, refusal, { onRefused, refusedBody });
        return connection !== undefined;
      };
      const isKnown = socket[this.#entry] !== undefined;
      if (isKnown || !this.#fleet.isAsked) return conclude(this.admit(socket, { checkClient }));
      return this.#admitLater(socket, { checkClient }, conclude);
    });
  }

  /** An `onRefused` that throws neither admits the socket nor ends the thread. */
  #warning(onRefused) {
    const name = `ConnectionTracker "${this.#tracker.name}" onRefused`;
    return warningInstead('SLUICE_ON_REFUSED', name, 'sockets get the default refusal', onRefused);
  }

  /** The subscription that sessions with an `onClose` are opened with. */
  get subscription() {
    return this.#subscription;
  }

  /** Calls `onClose` once the session was closed, in whatever thread. */
  holdSession(serial, onClose) {
    const key = String(serial);
    const notify = AsyncResource.bind(onClose, 'sluice:ConnectionTracker:close');
    const end = () => {
      this.#entries.delete(key);
      // A session that is asked to close because it is idle is still open.
      native.closeConnection(this.#handle, serial, true);
      notify();
    };
    // A session is active by `touch` and `tryMessage`, which the tracker sees itself.
    this.#entries.set(key, { isIdleFor: () => true, end });
  }

  /**
   * The connection of a socket, opened at most once, or why it is refused. Where a server counts for a fleet, it learns of
   * the socket afterwards: that was accepted before it could be asked.
   */
  admit(socket, { checkClient = true } = NONE) {
    const known = socket[this.#entry];
    if (known !== undefined) return { connection: known.serial, refusal: undefined };
    const place = this.#fleet.take(checkClient ? remoteAddressOf(socket) : undefined, true);
    return this.#admitAt(place, socket, checkClient);
  }

  /** As `admit`, once the server of a fleet has answered. Until then nothing sees the socket. Resolves to `conclude`'s answer. */
  async #admitLater(socket, { checkClient }, conclude) {
    socket.on('error', noop);
    try {
      const { place, reason } = await this.#placeFor(checkClient ? remoteAddressOf(socket) : undefined);
      const admitted =
        reason === undefined
          ? this.#admitAt(place, socket, checkClient)
          : this.#refused(socket, { reason, retryAfterMs: 0 });
      return endIfLeft(socket) ? false : conclude(admitted);
    } finally {
      socket.off('error', noop);
    }
  }

  async #placeFor(client) {
    try {
      return await this.#fleet.ask(client, true);
    } catch (error) {
      // After a reset of tests the tracker goes on. A destroyed one says so again.
      if (error.code !== 'ERR_SLUICE_CLOSED') throw error;
      return { place: this.#fleet.take(client, true), reason: undefined };
    }
  }

  #admitAt(place, socket, checkClient) {
    const client = remoteAddressOf(socket);
    const request = {
      id: undefined,
      detail: undefined,
      subscription: this.#subscription,
      checkClient,
      place,
    };
    const opened = owned(native.openConnection(this.#handle, client, request));
    if (opened.kind === 'refused') return this.#refused(socket, opened);
    const { serial } = opened;
    try {
      this.#hold(socket, serial);
    } catch (error) {
      // A stack overflow, or a socket with methods of its own: nothing would close the connection.
      delete socket[this.#entry];
      this.#entries.delete(String(serial));
      native.closeConnection(this.#handle, serial, true);
      throw error;
    }
    return { connection: serial, refusal: undefined };
  }

  #refused(socket, { reason, retryAfterMs }) {
    const refusal = { reason, client: remoteAddressOf(socket), retryAfterMs };
    publish(CHANNELS.ConnectionTracker.refusal, () => ({ tracker: this.#tracker.name, ...refusal }));
    return { connection: undefined, refusal };
  }

  /**
   * Counts the connection of a proxy, which carries one client from now on, for this client. Returns the refusal, or
   * null; a promise of it where a server is asked.
   */
  assign(socket, client) {
    const entry = acceptedSocket(socket)?.[this.#entry];
    if (entry === undefined) return null;
    return this.#fleet.isAsked
      ? this.#assignLater(socket, entry, client)
      : this.#assignAt(undefined, entry, client);
  }

  /** Nothing else may listen to a socket that is being upgraded: until the answer its error is no uncaught exception. */
  async #assignLater(socket, entry, client) {
    socket.on('error', noop);
    try {
      const { place, reason } = await this.#fleet.ask(client, false);
      return place === undefined ? { reason, client, retryAfterMs: 0 } : this.#assignAt(place, entry, client);
    } finally {
      socket.off('error', noop);
    }
  }

  #assignAt(place, entry, client) {
    const refusal = native.assignConnection(this.#handle, entry.serial, client, place);
    if (refusal === null) return null;
    const { reason, retryAfterMs } = owned(refusal);
    return { reason, client, retryAfterMs };
  }

  /** Closes a TCP socket without an address: limits per client cannot be applied to it. Returns false. */
  #drop(socket) {
    native.countConnectionWithoutAddress(this.#handle);
    socket.destroy();
    return false;
  }

  #watch(server, admits) {
    const entryOf = (socket) => acceptedSocket(socket)?.[this.#entry];
    const upgrade = (_req, socket) => entryOf(socket)?.upgrade();
    const detach = hookServer(server, HOOK_ORDER.CONNECTION_TRACKER, {
      connection: (socket) => this.#passes(admits, socket),
      request: (req, res) => entryOf(req.socket)?.serve(res),
      stream: (stream) => {
        endWithClient(stream);
        entryOf(stream.session?.socket)?.serve(stream);
      },
      upgrade,
      connect: upgrade,
    });
    this.#attached.add(server, detach);
  }

  /** An internal error admits the socket. A destroyed tracker warns once, and counts nothing more. */
  #passes(admits, socket) {
    try {
      const passes = admits(socket);
      if (typeof passes === 'boolean') return passes;
      return passes.catch((error) => this.#passesUncounted(error) && !endIfLeft(socket));
    } catch (error) {
      return this.#passesUncounted(error);
    }
  }

  #passesUncounted(error) {
    if (error.code === 'ERR_SLUICE_CLOSED') {
      if (!this.#isEnded) warnOfNoCount(this.#tracker.name);
      this.#isEnded = true;
    } else {
      warn(error.code, `connections are not counted: ${error.message}`, error.stack);
    }
    return true;
  }

  #receive(delivery) {
    const { kind, serial, ifIdleMs } = owned(delivery);
    if (kind === 'destroyed') this.#end();
    else this.#closeWhenAsked(serial, ifIdleMs);
  }

  /** The tracker was destroyed. Its sockets stay open; only they hold the table now. */
  #end() {
    this.#idleSweep.stop();
    unsubscribe(this.#subscription);
    tables.delete(this.#handle);
    this.#attached.detach(this.#isEnded ? () => {} : () => warnOfNoCount(this.#tracker.name));
    this.#isEnded = true;
  }

  #hold(socket, serial) {
    const entry = new TrackedSocket(this.#handle, serial, socket);
    socket[this.#entry] = entry;
    this.#entries.set(String(serial), entry);
    const release = () => {
      this.#entries.delete(String(serial));
      native.closeConnection(this.#handle, serial, true);
    };
    if (socket.destroyed) release();
    else socket.once('close', release);
  }

  #closeWhenAsked(serial, ifIdleMs) {
    const entry = this.#entries.get(serial);
    if (entry === undefined) return;
    if (typeof ifIdleMs !== 'number' || entry.isIdleFor(ifIdleMs)) entry.end();
  }

  /** Closes idle connections, as long as the tracker has an idle timeout, or may get one from another process. */
  sweep() {
    this.#idleSweep.start();
  }
}

/** Ends a socket that was held, if its client has left or ended its side meanwhile. Whether it has. */
function endIfLeft(socket) {
  if (!socket.destroyed && !socket.readableEnded) return false;
  socket.destroy();
  return true;
}

function warnOfNoCount(name) {
  const message = `connections are not counted: ConnectionTracker "${name}" was destroyed; create and attach it anew`;
  warn('ERR_SLUICE_CLOSED', message);
}

module.exports = { socketTableOf };
