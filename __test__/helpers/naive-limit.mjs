// A naive model of each algorithm, written for clarity instead of speed.

/** One limit with a single key. Times are in milliseconds, debts in nanoseconds. */
export class NaiveLimit {
  now = 0;
  debt = 0;
  end = 0;
  index = 0;
  before = 0;
  count = 0;

  constructor(options) {
    Object.assign(this, { algorithm: 'gcra', ...options });
  }

  get capacity() {
    return this.burst ?? this.limit;
  }

  /** The emission interval, in nanoseconds. */
  get interval() {
    return Math.ceil((this.window * 1e6) / this.limit);
  }

  /** Advances to `now`. */
  at(now) {
    this.debt = Math.max(0, this.debt - (now - this.now) * 1e6);
    this.now = now;
    if (this.algorithm === 'fixed-window' && now >= this.end) this.count = 0;
    const index = Math.floor(now / this.window);
    if (this.algorithm === 'sliding-window' && index !== this.index) {
      this.before = index === this.index + 1 ? this.count : 0;
      this.count = 0;
      this.index = index;
    }
    return this;
  }

  admits(cost) {
    if (this.algorithm === 'gcra') return this.debt + cost * this.interval <= this.capacity * this.interval;
    if (this.algorithm === 'fixed-window') return this.count + cost <= this.limit;
    const left = this.window - (this.now % this.window);
    return this.before * left + (this.count + cost) * this.window <= this.limit * this.window;
  }

  /** The largest cost that is admitted, found by trying. */
  get remaining() {
    let cost = 0;
    while (cost < this.capacity && this.admits(cost + 1)) cost++;
    return cost;
  }

  /** Milliseconds until the key is fully replenished. */
  get resetAfter() {
    if (this.algorithm === 'gcra') return Math.ceil(this.debt / 1e6);
    if (this.algorithm === 'fixed-window') return this.count > 0 ? this.end - this.now : 0;
    const left = this.window - (this.now % this.window);
    if (this.count > 0) return left + this.window;
    return this.before > 0 ? left : 0;
  }

  charge(cost) {
    this.debt += cost * this.interval;
    if (this.count === 0) this.end = this.now + this.window;
    this.count += cost;
  }

  penalize(cost) {
    if (this.algorithm === 'gcra') {
      this.debt = Math.min(this.debt + cost * this.interval, this.capacity * this.interval);
    } else {
      this.charge(Math.min(cost, this.remaining));
    }
  }

  refund(given) {
    const cost = Math.min(given, this.capacity);
    this.debt = Math.max(0, this.debt - cost * this.interval);
    if (this.algorithm === 'fixed-window') this.count = Math.min(this.count, this.limit);
    const ofThis = Math.min(this.count, cost);
    this.count -= ofThis;
    this.before = Math.max(0, this.before - (cost - ofThis));
  }

  reset() {
    Object.assign(this, { debt: 0, before: 0, count: 0 });
  }

  reconfigure(options) {
    Object.assign(this, options);
    this.end = Math.min(this.end, this.now + this.window);
    this.debt = Math.min(this.debt, this.capacity * this.interval);
  }

  clone() {
    return Object.assign(new NaiveLimit(), this);
  }
}
