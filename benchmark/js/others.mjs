// Cases: limiters and maps of other packages.
import * as limiters from '../limiters.mjs';
import { addresses } from './keys.mjs';

export function ownMap() {
  return { call: limiters.ownMap() };
}

export function mapGet() {
  const values = new Map(addresses().map((key) => [key, { tier: 'free' }]));
  return { call: (key) => values.get(key) };
}

export async function flexible() {
  return { call: await limiters.flexible(), isAsync: true };
}

export async function memoryStore() {
  return { call: await limiters.memoryStore(), isAsync: true };
}

export function localStore() {
  return { call: limiters.localStore(addresses().length) };
}

/** With enough buckets for all clients. */
export async function hyperLimit() {
  const { create, tryRequest } = await limiters.hyperLimit(1 << 16);
  for (const key of addresses()) create(key);
  return { call: tryRequest };
}
