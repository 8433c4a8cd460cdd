'use strict';

/** Waits until so many threads wait here; all are released in the same moment. */
function meet({ words, count }) {
  if (Atomics.add(words, 0, 1) === count - 1) {
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
  } else {
    Atomics.wait(words, 1, 0);
  }
}

module.exports = { meet };
