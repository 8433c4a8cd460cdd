'use strict';

/** The live object that this thread builds from the value of one key, and rebuilds when the value changes. */
class LiveClient {
  #hub;
  #key;
  #init;
  #options;

  constructor(hub, key, init, options) {
    this.#hub = hub;
    this.#key = key;
    this.#init = init;
    this.#options = options;
  }

  async get() {
    this.#options.signal?.throwIfAborted();
    const entry = this.#hub.fresh(this.#key);
    if (entry !== undefined) return this.#live(entry);
    return this.#hub.call(this.#key, this.#init, this.#options, (made) => this.#live(made));
  }

  get value() {
    if (this.#options.revive === undefined) return this.#hub.current(this.#key)?.value;
    return this.#hub.live.current(this.#key);
  }

  #live(entry) {
    const { revive, dispose } = this.#options;
    return revive === undefined ? entry.value : this.#hub.live.of(this.#key, entry, revive, dispose);
  }
}

module.exports = { LiveClient };
