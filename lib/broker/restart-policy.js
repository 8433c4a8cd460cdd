'use strict';

/** When a worker that died may be started again. One for all workers of a group; it only decides. */
class RestartPolicy {
  #limit;
  #window;
  #backoff;
  #maxBackoff;
  /** When the restarts of the last window were granted, the oldest first. */
  #granted = [];

  constructor({ limit, window, backoff, maxBackoff }) {
    this.#limit = limit;
    this.#window = window;
    this.#backoff = backoff;
    this.#maxBackoff = maxBackoff;
  }

  get terms() {
    return `at most ${this.#limit} restarts in ${this.#window} ms`;
  }

  /** Whether one more fits `limit` in `window`; if so, it is taken. */
  grant(now) {
    while (this.#granted.length > 0 && this.#granted[0] <= now - this.#window) this.#granted.shift();
    if (this.#granted.length >= this.#limit) return false;
    this.#granted.push(now);
    return true;
  }

  /** Milliseconds to wait before the restart after so many deaths in a row. */
  delay(deaths) {
    return Math.min(this.#backoff * 2 ** (deaths - 1), this.#maxBackoff);
  }

  /** Whether a worker that was up for so long has done well, so that its death is the first of a row again. */
  isLong(ms) {
    return ms >= this.#maxBackoff;
  }
}

module.exports = { RestartPolicy };
