'use strict';

/** Of an `emit` that does nothing any more: what it replaced. */
const kReplaced = Symbol('sluice.replaced');

/** How many trackers count the connections of a server. */
const counted = new WeakMap();

/** Servers whose next connection has a warning to give. */
const warning = new WeakSet();

/** The servers whose `emit` one tracker has replaced. They are not kept: a server may go before its tracker. */
class AttachedServers {
  #servers = [];

  /** `emit` stands in the place of `replaced`. */
  add(server, emit, replaced) {
    this.#servers = this.#servers.filter((attached) => attached.server.deref() !== undefined);
    this.#servers.push({
      server: new WeakRef(server),
      emit: new WeakRef(emit),
      replaced: new WeakRef(replaced),
    });
    counted.set(server, (counted.get(server) ?? 0) + 1);
  }

  /** Gives every server its own `emit` back. The next connection that no tracker counts calls `warn`. */
  detach(warn) {
    for (const attached of this.#servers) {
      const server = attached.server.deref();
      if (server === undefined) continue;
      const emit = attached.emit.deref();
      if (emit !== undefined) emit[kReplaced] = attached.replaced.deref();
      // An `emit` that others have put before ours goes on to call it.
      while (server.emit[kReplaced] !== undefined) server.emit = server.emit[kReplaced];
      counted.set(server, counted.get(server) - 1);
      warnAtNextConnection(server, warn);
    }
    this.#servers = [];
  }
}

function warnAtNextConnection(server, warn) {
  if (warning.has(server)) return;
  warning.add(server);
  server.once('connection', () => {
    warning.delete(server);
    if (counted.get(server) === 0) warn();
  });
}

module.exports = { AttachedServers };
