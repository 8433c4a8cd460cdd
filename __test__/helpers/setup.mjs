import { after, before } from 'node:test';
import testing from '../../lib/testing.js';

/** Returns a function that gives a new name for each instance; instances live as long as the process. */
export function freshNames(prefix) {
  let names = 0;
  return () => {
    names += 1;
    return `${prefix}-${names}`;
  };
}

/** A manual clock for all tests of the file, usable once they run. */
export function stopClock() {
  const clock = {};
  before(() => {
    Object.assign(clock, testing.manualClock());
    clock.set(1_000_000);
  });
  after(() => clock.restore());
  return clock;
}

/** A manual clock until the test ends. */
export function manualClock(t) {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  return clock;
}
