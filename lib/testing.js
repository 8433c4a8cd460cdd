'use strict';

const { invalidOption, SluiceError } = require('./runtime/errors');
const { followReset, native } = require('./runtime/native');
const { parseDuration } = require('./runtime/schema');

/** The year 2100. A hundred years more would leave the range of the clock. */
const LATEST_MS = 4_102_444_800_000;

/**
 * Stops the clock of the whole process, for decisions, deadlines and reports, in every thread. It stands
 * where it was until it is set or advanced; `restore` lets it run again.
 */
function manualClock() {
  if (!native.isClockManual()) native.setClock(Math.floor(native.clockNow()));
  return {
    set(ms) {
      if (!Number.isInteger(ms) || ms < 0 || ms > LATEST_MS) {
        throw invalidOption('clock time', ms, `milliseconds as an integer from 0 to ${LATEST_MS}`);
      }
      native.setClock(ms);
    },
    advance(duration) {
      const ms = parseDuration(duration, 'clock duration', { least: 0 });
      const rest = Math.floor(LATEST_MS - native.clockNow());
      if (ms > rest)
        throw invalidOption(
          'clock duration',
          duration,
          `at most ${rest} ms: the clock ends in the year 2100`,
        );
      native.advanceClock(ms);
    },
    restore() {
      native.restoreClock();
    },
    get now() {
      return native.clockNow();
    },
    [Symbol.dispose]() {
      native.restoreClock();
    },
  };
}

/**
 * Empties every instance of the process, in all threads. Existing objects keep working; the next construction sets the
 * options of its instance.
 */
function reset() {
  if (process.env.NODE_ENV === 'production') {
    const message = 'reset: NODE_ENV is "production", where nothing is to be forgotten; accepted: a test';
    throw new SluiceError('UNSUPPORTED', message);
  }
  native.resetInstances();
  followReset();
}

module.exports = { manualClock, reset };
