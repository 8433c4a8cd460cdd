/** A minimal limiter: a fixed window per client in a `Map` of this thread, whose entries are never removed. */
export class MapLimiter {
  #windows = new Map();
  #limit;
  #windowMs;

  constructor(limit, windowMs) {
    this.#limit = limit;
    this.#windowMs = windowMs;
  }

  tryConsume(key) {
    const now = performance.now();
    const window = this.#windows.get(key);
    if (window === undefined || window.endsAt <= now) {
      this.#windows.set(key, { endsAt: now + this.#windowMs, count: 1 });
      return true;
    }
    if (window.count >= this.#limit) return false;
    window.count += 1;
    return true;
  }
}
