// What a server has been through that runs for a while.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Enough for V8 to record how the function is used. */
const TICKS = 1000;

/**
 * Collects the garbage of a server at rest, as happens to one that loads more code while it starts. V8 11 then forgets the
 * hidden class of the objects that `process.nextTick` makes, and makes them in a slower way from then on. Servers that have
 * not come to that cannot be compared with those that have.
 */
export async function settle() {
  for (let i = 0; i < TICKS; i++) await new Promise((resolve) => process.nextTick(resolve));
  await new Promise(setImmediate);
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}
