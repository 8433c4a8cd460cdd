'use strict';

const { invalid } = require('../runtime/errors');
const { loadPeer } = require('./rate-limiter-flexible-peer');
const { StoreCounter, checkLimit, storeOptions } = require('./store-counter');
const { unnamedCounter } = require('./unnamed-counter');
const { restoreInto } = require('./rate-limiter-flexible-dump');

const { RateLimiterAbstract, RateLimiterRes } = loadPeer();

const OWNER = 'RateLimiterMemory';
/** The prefix that limiters of rate-limiter-flexible have unless they are given one. */
const DEFAULT_PREFIX = 'rlflx';
/** A longer timer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The RateLimiterMemory of rate-limiter-flexible 11, with points that all threads share. */
class RateLimiterMemory extends RateLimiterAbstract {
  #counter;

  constructor(options) {
    super(options);
    // Without options, the abstract class has thrown.
    this.#counter = counterOf(this, options);
  }

  get points() {
    return super.points;
  }

  set points(points) {
    // The abstract class refuses the others.
    super.points = Number.isFinite(points) ? checkLimit(`${OWNER} points`, points) : points;
  }

  async consume(key, pointsToConsume = 1, options = {}) {
    const n = checkPoints('pointsToConsume', pointsToConsume);
    const { points } = this;
    const hits = this.#add(key, n, options, this.#blockRule(points));
    const res = resultOf(points, hits, hits.first);
    if (hits.count > points) return Promise.reject(res);
    if (this.execEvenly && points > 0 && res.msBeforeNext > 0 && !res.isFirstInDuration) {
      await this.#delay(res);
    }
    return res;
  }

  async penalty(key, points = 1, options = {}) {
    const hits = this.#add(key, checkPoints('points', points), options);
    return resultOf(this.points, hits, hits.first);
  }

  async reward(key, points = 1, options = {}) {
    const hits = this.#add(key, -checkPoints('points', points), options);
    return resultOf(this.points, hits, hits.first);
  }

  async block(key, secDuration) {
    return this.#set(key, Math.floor(this.points) + 1, windowOf(secDuration));
  }

  async set(key, points, secDuration) {
    const seconds = secDuration >= 0 ? secDuration : this.duration;
    return this.#set(key, checkPoints('points', points), windowOf(seconds));
  }

  async get(key) {
    const found = this.#counter.get(this.getKey(key));
    return found === null ? null : resultOf(this.points, found, false);
  }

  async delete(key) {
    return this.#counter.delete(this.getKey(key));
  }

  dump() {
    const dumpedAt = Date.now();
    const prefix = this.getKey('');
    const storage = this.#counter
      .dump()
      .filter(({ key }) => String(key).startsWith(prefix))
      .map(({ key, count, leftMs }) => ({
        key: prefix === '' ? key : this.parseKey(key),
        value: count,
        expiresAt: leftMs === Number.POSITIVE_INFINITY ? null : dumpedAt + leftMs,
      }));
    return { version: 1, dumpedAt, storage };
  }

  restore(data, detailResponse = false) {
    return restoreInto(data, detailResponse, (key, count, windowMs) =>
      this.#counter.set(this.getKey(key), count, windowMs),
    );
  }

  #add(key, n, options, rule) {
    const window = windowOf(this._getKeySecDuration(options));
    return this.#counter.add(this.getKey(key), n, window, rule);
  }

  #set(key, count, windowMs) {
    this.#counter.set(this.getKey(key), count, windowMs);
    return new RateLimiterRes(0, msBeforeNext(windowMs), count);
  }

  /** The hit that crosses the points begins the block in the same step. */
  #blockRule(points) {
    if (!(this.blockDuration > 0)) return undefined;
    return { above: Math.floor(points), windowMs: windowOf(this.blockDuration), once: true };
  }

  #delay(res) {
    const even = Math.ceil(res.msBeforeNext / (res.remainingPoints + 2));
    const least = this.execEvenlyMinDelayMs;
    const delay = even < least ? res.consumedPoints * least : even;
    // What is left after the delay.
    res.msBeforeNext = Math.max(res.msBeforeNext - delay, 0);
    return new Promise((resolve) => setTimeout(resolve, Math.min(delay, LONGEST_TIMER_MS)));
  }
}

function counterOf(limiter, { name, keyPrefix, maxKeys, overflow, keepKeys, onMismatch }) {
  const ownPrefix = keyPrefix === '' || keyPrefix === DEFAULT_PREFIX ? undefined : keyPrefix;
  const isNamed = (name ?? ownPrefix) !== undefined;
  const given = { name: isNamed ? (name ?? ownPrefix) : OWNER, maxKeys, overflow, keepKeys, onMismatch };
  const { name: checked, counter } = storeOptions(OWNER, given, undefined);
  return isNamed ? new StoreCounter(checked, counter) : unnamedCounter(OWNER, limiter, counter);
}

function resultOf(points, { count, leftMs }, isFirst) {
  return new RateLimiterRes(Math.max(points - count, 0), msBeforeNext(leftMs), count, isFirst);
}

/** As results say it: -1 for a window that never ends. */
function msBeforeNext(ms) {
  return ms === Number.POSITIVE_INFINITY ? -1 : ms;
}

/** Milliseconds of a duration in seconds; those of 0 never end. */
function windowOf(seconds) {
  const ms = seconds * 1000;
  if (ms === 0) return Number.POSITIVE_INFINITY;
  if (ms > 0) return Math.max(Math.round(ms), 1);
  throw invalid('INVALID_VALUE', `${OWNER} duration`, seconds, 'seconds from 0; 0 never ends');
}

function checkPoints(what, points) {
  if (Number.isSafeInteger(points)) return points;
  throw invalid('INVALID_VALUE', `${OWNER} ${what}`, points, 'an integer');
}

module.exports = { RateLimiterMemory };
