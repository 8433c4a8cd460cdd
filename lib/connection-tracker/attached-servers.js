'use strict';

/** How many trackers count the connections of a server. */
const counted = new WeakMap();

/** Servers whose next connection may give a warning. */
const warning = new WeakSet();

/** The servers that one tracker is attached to. They are held weakly: a server may be collected before its tracker. */
class AttachedServers {
  #servers = [];
  /** By server: what detaches it. */
  #detach = new WeakMap();

  /** `detach()` ends what the tracker sees of the server. */
  add(server, detach) {
    this.#servers = this.#servers.filter((reference) => reference.deref() !== undefined);
    this.#servers.push(new WeakRef(server));
    this.#detach.set(server, detach);
    counted.set(server, (counted.get(server) ?? 0) + 1);
  }

  /** Detaches every server. The next connection that no tracker counts calls `warn`. */
  detach(warn) {
    for (const reference of this.#servers) {
      const server = reference.deref();
      if (server === undefined) continue;
      this.#detach.get(server)();
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
