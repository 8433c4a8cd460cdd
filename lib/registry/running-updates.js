'use strict';

const { SluiceError } = require('../runtime/errors');

/**
 * The calls of `update` whose functions run in this thread now, the innermost last.
 *
 * A function that writes its own key is called again, as after the write of another thread. One that does so on every
 * call would be called forever, so it is refused the second time.
 */
const running = [];

/** One call of `update`. */
class RunningUpdate {
  #registry;
  #handle;
  #key;
  /** The function has written its own key in this turn, and in the turn before. */
  #writes = false;
  #repeats = false;
  #isRefused = false;

  /** `registry` is the name of the registry, for messages. */
  constructor(registry, handle, key) {
    this.#registry = registry;
    this.#handle = handle;
    this.#key = key;
  }

  /** The value that the function makes of the old one. */
  run(change, value) {
    this.#repeats = this.#writes;
    running.push(this);
    try {
      const changed = change(value);
      // The function may have caught the error of its own write.
      if (this.#isRefused) throw this.#error();
      return changed;
    } finally {
      running.pop();
    }
  }

  /** Before a key of a registry is written; without a key, before all are. */
  static enterWrite(handle, key) {
    if (running.length === 0) return;
    const own = running.filter((update) => update.#handle === handle && (key ?? update.#key) === update.#key);
    for (const update of own) {
      update.#isRefused = update.#repeats || own.length > 1;
      if (update.#isRefused) throw update.#error();
      update.#writes = true;
    }
  }

  #error() {
    const message = `Registry "${this.#registry}": the function of update writes ${JSON.stringify(this.#key)}, the key that it updates, each time; accepted: to return the new value`;
    return new SluiceError('UNSUPPORTED', message);
  }
}

module.exports = { RunningUpdate };
