// Keys of 10 000 clients, called in an order that defeats the prefetcher, or one client only.

const CLIENTS = 10_000;
/** Length of the call order; a power of two, so that a loop wraps with one `&`. */
const LENGTH = 1 << 15;

/** New strings each time, so that a table is not filled with the strings that are later looked up. */
export function addresses() {
  return Array.from({ length: CLIENTS }, (_, i) => `203.${i >> 12}.${(i >> 6) & 63}.${i & 63}`);
}

/** The items in the order of a load: `'uniform'` over all items, or `'hot'`, always the same one. */
export function inOrder(items, load) {
  if (load === 'hot') return Array(LENGTH).fill(items[0]);
  const next = random(1);
  return Array.from({ length: LENGTH }, () => items[next() % items.length]);
}

/** Marsaglia's 32-bit xorshift: the same order in every run. */
function random(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
