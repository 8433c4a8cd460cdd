'use strict';

/** Blocks until `count` threads have arrived, then releases all of them at once. */
function meet({ words, count }) {
  if (Atomics.add(words, 0, 1) === count - 1) {
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
  } else {
    Atomics.wait(words, 1, 0);
  }
}

module.exports = { meet };
