// Payloads of calls, and numbers of calls in flight.

const KILOBYTE = 2 ** 10;
const TEXT = 'sluice: '.repeat(KILOBYTE / 8);
const BYTES = Buffer.alloc(64 * KILOBYTE, 7);

/** `next` makes the payload of a call; `weigh` gives a number by which payloads and answers are checked. */
const PAYLOADS = {
  '50-byte object': {
    // The id has six digits, so that the JSON has a constant length.
    next: (number) => ({ id: 100_000 + (number % 800_000), user: 'ada', path: '/orders?page=7' }),
    weigh: ({ id }) => id,
  },
  '1 kB string': { next: () => TEXT, weigh: ({ length }) => length },
  '64 kB Buffer': { next: () => BYTES, weigh: ({ byteLength }) => byteLength },
};

export const OBJECTS = [1, 10, 100, 1000].map((inFlight) => ({ payload: '50-byte object', inFlight }));
export const STRINGS = [100].map((inFlight) => ({ payload: '1 kB string', inFlight }));
export const BUFFERS = [1, 10, 100].map((inFlight) => ({ payload: '64 kB Buffer', inFlight }));

/** A source of payloads with a balance, which is 0 once each payload made has come back. */
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
