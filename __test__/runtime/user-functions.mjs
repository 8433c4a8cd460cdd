// Functions that fail, and what the tests of functions of the user expect of them.
import { setImmediate as turn } from 'node:timers/promises';

export const own = new Error('own error');
export const throwing = () => {
  throw own;
};
export const rejecting = () => Promise.reject(own);
export const is = (expected) => (error) => error === expected;

/** Results whose `then` throws. */
export const BROKEN = {
  'a getter': () => Object.defineProperty({}, 'then', { get: throwing }),
  'an own method of a promise': () => Object.defineProperty(Promise.resolve(), 'then', { value: throwing }),
};

/** Runs `body` and returns the warnings with `code` that it emitted. */
export async function warningsOf(code, body) {
  const warnings = [];
  const collect = (warning) => warning.code === code && warnings.push(warning);
  process.on('warning', collect);
  try {
    await body();
    await turn();
  } finally {
    process.off('warning', collect);
  }
  return warnings;
}
