'use strict';

/** What components of this thread do once it has drained, in any lifecycle. */
const steps = new Set();

/** Runs `step()` at the end of each shutdown in this thread, after the hooks. It must not throw. */
function atShutdown(step) {
  steps.add(step);
}

function runAtShutdown() {
  for (const step of steps) step();
}

module.exports = { atShutdown, runAtShutdown };
