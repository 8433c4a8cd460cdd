// Hubs, initialisers and expectations that the tests of ClientHub share.
import assert from 'node:assert/strict';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';

const { ClientHub } = sluice;

export const sluiceError = (code) => ({ name: 'SluiceError', code: `ERR_SLUICE_${code}` });
export const is = (expected) => (error) => error === expected;

/** A new hub. Fails the test if a call is pending or an initialiser runs when it ends. */
export function freshHub(t, options) {
  const hub = new ClientHub(freshName(), options);
  t.after(() => {
    const { waiting, initialising } = hub.stats();
    assert.deepEqual({ waiting, initialising }, { waiting: 0, initialising: 0 });
  });
  return hub;
}

/** An initialiser that the test settles: `calls` has `{ signal, resolve, reject }` of each run. */
export function byHand() {
  const calls = [];
  const init = (signal) =>
    new Promise((resolve, reject) => {
      calls.push({ signal, resolve, reject });
    });
  return { calls, init };
}

export const never = () => new Promise(() => {});
export const unused = () => assert.fail('this initialiser must not run');
