// Cases: native calls that decide nothing.
import { createRequire } from 'node:module';
import { loadRawCall } from '../raw-call.mjs';

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
