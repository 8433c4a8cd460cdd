'use strict';

/** Between two looks at all open sockets, which a ban of a range needs. */
const SWEEP_PAUSE_MS = 100;

/** The open sockets of this thread by the addresses of their clients. Those of a client are closed when it is banned. */
class BannedSockets {
  #guard;
  #byAddress = new Map();
  #listens = false;
  #sweep;

  constructor(guard) {
    this.#guard = guard;
  }

  /** Until the session is released. */
  watch(session) {
    const address = this.#guard.reputation === null ? undefined : this.#guard.judgedOf(session.request);
    if (address === undefined) return;
    const sessions = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, sessions.add(session));
    session.onReleased = () => {
      sessions.delete(session);
      if (sessions.size === 0 && this.#byAddress.get(address) === sessions) this.#byAddress.delete(address);
    };
    this.#listen();
    // The ban may have come while the handshake was decided.
    session.closeIfBanned();
  }

  #listen() {
    if (this.#listens) return;
    this.#listens = true;
    this.#guard.attempt(() => this.#guard.reputation.on('ban', (ban) => this.#banned(ban)));
  }

  #banned({ client, missed = 0 }) {
    closeBanned(this.#byAddress.get(client));
    // Of IPv6 a client is a range of addresses.
    if (missed > 0 || client.includes('/') || client.includes(':')) this.#sweepSoon();
  }

  /** Bans of ranges may follow each other fast, and each look costs a check of every client. */
  #sweepSoon() {
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined;
      for (const sessions of [...this.#byAddress.values()]) closeBanned(sessions);
    }, SWEEP_PAUSE_MS).unref();
  }
}

function closeBanned(sessions = []) {
  for (const session of [...sessions]) session.closeIfBanned();
}

module.exports = { BannedSockets };
