// Who asks: 10 000 clients, in an order that no prefetcher guesses, or always the same one.

const CLIENTS = 10_000;
/** Of the order in which they ask; a power of two, so that a loop goes round with one `&`. */
const LENGTH = 1 << 15;

/** Every time new strings: those that fill a table are not those that are looked up in it. */
export function addresses() {
  return Array.from({ length: CLIENTS }, (_, i) => `203.${i >> 12}.${(i >> 6) & 63}.${i & 63}`);
}

/** The items in the order of the load: `'uniform'` over all of them, or `'hot'`, one for ever. */
export function inOrder(items, load) {
  if (load === 'hot') return Array(LENGTH).fill(items[0]);
  const next = random(1);
  return Array.from({ length: LENGTH }, () => items[next() % items.length]);
}

/** Marsaglia's xorshift with 32 bits: the same order in every run. */
function random(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
