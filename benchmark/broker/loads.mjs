// What calls carry, and how many are under way at once.

const KILOBYTE = 2 ** 10;
const TEXT = 'sluice: '.repeat(KILOBYTE / 8);
const BYTES = Buffer.alloc(64 * KILOBYTE, 7);

/** `next` makes what a call carries; `weigh` tells from an answer which one it was. */
const PAYLOADS = {
  '50-byte object': {
    // As many bytes as JSON while the number has six digits.
    next: (number) => ({ id: 100_000 + (number % 800_000), user: 'ada', path: '/orders?page=7' }),
    weigh: ({ id }) => id,
  },
  '1 kB string': { next: () => TEXT, weigh: ({ length }) => length },
  '64 kB Buffer': { next: () => BYTES, weigh: ({ byteLength }) => byteLength },
};

export const OBJECTS = [1, 10, 100, 1000].map((inFlight) => ({ payload: '50-byte object', inFlight }));
export const STRINGS = [100].map((inFlight) => ({ payload: '1 kB string', inFlight }));
export const BUFFERS = [1, 10, 100].map((inFlight) => ({ payload: '64 kB Buffer', inFlight }));

/** A payload to send, and a balance that is 0 when each that was made has come back once. */
export function payloads(name) {
  const { next, weigh } = PAYLOADS[name];
  let made = 0;
  let balance = 0;
  return {
    make() {
      const payload = next(made++);
      balance += weigh(payload);
      return payload;
    },
    take(answer) {
      balance -= weigh(answer);
    },
    get balance() {
      return balance;
    },
  };
}
