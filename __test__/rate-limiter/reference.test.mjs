// RateLimiter compared with a naive model over random calls, costs, pauses and reconfigurations. Uses a manual
// clock.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { NaiveLimit } from '../helpers/naive-limit.mjs';
import { freshName } from '../helpers/peer.mjs';
import { random } from '../helpers/random.cjs';

const { RateLimiter } = sluice;

const SEEDS = 40;
const STEPS = 250;
const START = Date.UTC(2030, 0, 1);
const ALGORITHMS = ['gcra', 'fixed-window', 'sliding-window'];

const clock = testing.manualClock();
test.after(() => clock.restore());

/** Reproducible random choices. */
class Dice {
  #next;

  constructor(seed) {
    this.#next = random(seed);
  }

  from(least, most) {
    return least + Math.floor(this.#next() * (most - least + 1));
  }

  of(...choices) {
    return choices[this.from(0, choices.length - 1)];
  }

  limit(algorithm, index) {
    const limit = {
      name: `limit ${index}`,
      algorithm,
      limit: this.from(1, 11),
      window: this.of(10, 100, 257),
    };
    return algorithm === 'gcra' && this.of(true, false) ? { ...limit, burst: this.from(1, 14) } : limit;
  }

  /** From nothing to a month: within a window, to its edge, across several, across very many. */
  pause() {
    const [short, long] = [this.from(1, 300), this.from(300, 5000)];
    return this.of(0, 0, 0, 0, short, short, short, short, short, 10, 100, 100, long, 31 * 86_400_000);
  }
}

/** A limiter and its naive model, with one key. */
class Pair {
  #limiter;
  #limits;
  #naive;
  #blockedUntil = 0;

  constructor(limits) {
    this.#limits = limits;
    this.#limiter = new RateLimiter(freshName(), { limits });
    this.#naive = limits.map((limit) => new NaiveLimit(limit));
  }

  step(dice) {
    clock.advance(dice.pause());
    for (const limit of this.#naive) limit.at(clock.now);
    const often = ['consume', 'consume', 'consume', 'tryConsume', 'peek', 'refund', 'penalize'];
    this[dice.of(...often, ...often, 'block', 'reset', 'reconfigure')](dice.from(1, 14), dice);
  }

  consume(cost, dice) {
    const caller = dice.of(true, false) ? this.#limiter.handle('a') : undefined;
    const admitted = this.#admitsAt(clock.now, cost);
    const decision = caller?.consume(cost) ?? this.#limiter.consume('a', cost);
    if (admitted) this.#all('charge', cost);
    assert.equal(decision.allowed, admitted);
    this.#check(decision, cost);
  }

  tryConsume(cost) {
    const admitted = this.#admitsAt(clock.now, cost);
    assert.equal(this.#limiter.tryConsume('a', cost), admitted);
    if (admitted) this.#all('charge', cost);
  }

  peek() {
    const decision = this.#limiter.peek('a');
    assert.equal(decision.allowed, this.#admitsAt(clock.now, 1));
    this.#check(decision, 1);
  }

  refund(cost) {
    this.#limiter.refund('a', cost);
    this.#all('refund', cost);
  }

  penalize(cost) {
    this.#limiter.penalize('a', cost);
    this.#all('penalize', cost);
  }

  block(_, dice) {
    const duration = dice.from(1, 400);
    assert.equal(this.#limiter.block('a', duration), true);
    this.#blockedUntil = Math.max(this.#blockedUntil, clock.now + duration);
  }

  reset() {
    assert.equal(this.#limiter.reset('a'), this.#resetAfter(...this.#naive) > 0);
    this.#all('reset');
    this.#blockedUntil = 0;
  }

  reconfigure(_, dice) {
    const index = dice.from(0, this.#limits.length - 1);
    const { algorithm } = this.#limits[index];
    const others = [{ limit: dice.from(1, 11) }, { window: dice.of(10, 100, 600_000, 30 * 86_400_000) }];
    const options = algorithm === 'sliding-window' ? others[0] : dice.of(...others);
    this.#limits = this.#limits.with(index, { ...this.#limits[index], ...options });
    this.#limiter.reconfigure({ limits: this.#limits });
    this.#naive[index].reconfigure(options);
  }

  #all(operation, ...given) {
    for (const limit of this.#naive) limit[operation](...given);
  }

  #admitsAt(then, cost) {
    const limits = this.#naive.map((limit) => limit.clone().at(then));
    return this.#blockedUntil <= then && limits.every((limit) => limit.admits(cost));
  }

  #resetAfter(...limits) {
    return Math.max(0, this.#blockedUntil - clock.now, ...limits.map((limit) => limit.resetAfter));
  }

  /** The decision describes the right limit, with its true state and the exact time until the call is admitted. */
  #check({ allowed, limit, remaining, resetAfterMs, retryAfterMs, policy }, cost) {
    const [now, isBlocked] = [clock.now, this.#blockedUntil > clock.now];
    const described = this.#naive.find(({ name }) => name === policy);
    assert.deepEqual(
      [limit, remaining, resetAfterMs],
      [described.limit, isBlocked ? 0 : described.remaining, this.#resetAfter(described)],
    );
    if (allowed) {
      assert.equal(retryAfterMs, 0);
      const isLeast = (other) => described.remaining * other.capacity <= other.remaining * described.capacity;
      assert.ok(this.#naive.every(isLeast), 'the smallest share is described');
    } else if (retryAfterMs === Infinity) {
      assert.ok(cost > described.capacity);
    } else {
      assert.ok(isBlocked || !described.admits(cost), 'a refusing limit is described');
      assert.equal(this.#admitsAt(now + retryAfterMs - 1, cost), false, '1 ms early');
      assert.equal(this.#admitsAt(now + retryAfterMs, cost), true, 'on time');
    }
  }
}

for (const kinds of [...ALGORITHMS.map((kind) => [kind]), ALGORITHMS, [...ALGORITHMS, ...ALGORITHMS]]) {
  test(`${kinds.length} limits by ${kinds.slice(0, 3).join(', ')}: ${SEEDS} × ${STEPS} random calls`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const dice = new Dice(seed);
      clock.set(START + dice.from(0, 300));
      const pair = new Pair(kinds.map((kind, index) => dice.limit(kind, index)));
      for (let step = 1; step <= STEPS; step++) {
        try {
          pair.step(dice);
        } catch (error) {
          error.message = `seed ${seed}, step ${step}: ${error.message}`;
          throw error;
        }
      }
    }
  });
}
