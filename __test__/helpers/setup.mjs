import { after, before } from 'node:test';
import testing from '../../lib/testing.js';

/** Instances live as long as the process: every test has names of its own. */
export function freshNames(prefix) {
  let names = 0;
  return () => {
    names += 1;
    return `${prefix}-${names}`;
  };
}

/** Stops the clock for all tests of the file; its hand is `clock.now` etc. once they run. */
export function stopClock() {
  const clock = {};
  before(() => {
    Object.assign(clock, testing.manualClock());
    clock.set(1_000_000);
  });
  after(() => clock.restore());
  return clock;
}
