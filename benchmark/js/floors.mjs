// Cases: native calls that decide nothing.
import { createRequire } from 'node:module';
import { loadRawCall } from '../raw-call.mjs';
import { addresses } from './keys.mjs';
import { fail, rejecting, succeed } from './traffic.mjs';

const require = createRequire(import.meta.url);
const { native } = require('../../lib/runtime/native.js');

export function rawNothing() {
  const { nothing } = loadRawCall();
  return { call: () => nothing() === undefined };
}

export function rawNumber() {
  const { number } = loadRawCall();
  const items = Array.from({ length: 10_000 }, (_, index) => index + 1);
  return { items, call: (given) => number(given) };
}

export function rawString() {
  const { string } = loadRawCall();
  return { call: (key) => string(key) };
}

export function rawExchange() {
  const { exchange } = loadRawCall();
  return { call: (key) => exchange(key) === undefined };
}

/** What `Registry.get` does at the least: a version that other threads may change, and a look-up. */
export function mapBehindVersion() {
  const version = new Int32Array(new ArrayBuffer(64));
  const values = new Map(addresses().map((key) => [key, { tier: 'free' }]));
  return { call: (key) => (Atomics.load(version, 0) === 0 ? values.get(key) : undefined) };
}

/** A call of `fire` without a breaker: the function and its promise. */
export function asyncFunction() {
  return { isAsync: true, call: () => succeed() };
}

export function failingAsyncFunction() {
  return rejecting({ isAsync: true, call: () => fail() });
}

export function hashing() {
  return { call: (key) => native.hashKey(key) === undefined };
}

export function numberInNumberOut() {
  const handle = native.openRegistry('benchmark');
  return { call: () => native.registryVersion(handle) >= 0 };
}

export function clock() {
  return { call: () => native.clockNow() > 0 };
}
