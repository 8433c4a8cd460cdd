'use strict';

/** Decides when a worker that died is restarted. One policy for all workers of a group; it has no side effects. */
class RestartPolicy {
  #limit;
  #window;
  #backoff;
  #maxBackoff;
  /** Times of the restarts granted in the last window, oldest first. */
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

  /** Whether `window` allows one more restart; if so, counts it. */
  grant(now) {
    while (this.#granted.length > 0 && this.#granted[0] <= now - this.#window) this.#granted.shift();
    if (this.#granted.length >= this.#limit) return false;
    this.#granted.push(now);
    return true;
  }

  /** Milliseconds before the restart after so many deaths in a row. */
  delay(deaths) {
    return Math.min(this.#backoff * 2 ** (deaths - 1), this.#maxBackoff);
  }

  /** Whether a worker was up for so long that its death counts as the first in a row. */
  isLong(ms) {
    return ms >= this.#maxBackoff;
  }
}

module.exports = { RestartPolicy };
