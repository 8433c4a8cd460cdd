// handleSignals: which names of signals it takes.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';

const { Lifecycle } = sluice;

const NAME = 'the name of a signal other than SIGKILL and SIGSTOP, such as "SIGTERM"';
const ARRAY =
  'a non-empty array of names of signals other than SIGKILL and SIGSTOP, such as ["SIGTERM", "SIGINT"]';

test('an invalid signal is an error that names it and its place', () => {
  const lifecycle = new Lifecycle('handle-signals');
  for (const [signals, message] of [
    [['SIGTERM', 'SIGFOO'], `handleSignals signals[1] is "SIGFOO"; accepted: ${NAME}`],
    [['sigterm'], `handleSignals signals[0] is "sigterm"; accepted: ${NAME}`],
    [['SIGKILL'], `handleSignals signals[0] is "SIGKILL"; accepted: ${NAME}`],
    [[15], `handleSignals signals[0] is 15; accepted: ${NAME}`],
    // biome-ignore lint/suspicious/noSparseArray: a hole is no name
    [[, 'SIGTERM'], `handleSignals signals[0] is undefined; accepted: ${NAME}`],
    [[], `handleSignals signals is an array; accepted: ${ARRAY}`],
    ['SIGTERM', `handleSignals signals is "SIGTERM"; accepted: ${ARRAY}`],
    [null, `handleSignals signals is null; accepted: ${ARRAY}`],
  ]) {
    const error = { name: 'SluiceError', code: 'ERR_SLUICE_INVALID_OPTION', message };
    assert.throws(() => lifecycle.handleSignals({ signals }), error);
  }
  assert.equal(process.listenerCount('SIGTERM'), 0);
});
