// What a reputation refuses: lists with holes, and URLs that are no files.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';

const { Reputation } = sluice;

const RULES = { maxFailures: 3, findTime: '1m', banTime: '1m', maxBanTime: '1h' };

const invalid = (message) => ({ name: 'SluiceError', code: 'ERR_SLUICE_INVALID_OPTION', message });

test('save and load take file URLs only', () => {
  const reputation = new Reputation(freshName(), RULES);
  for (const method of ['save', 'load']) {
    for (const url of ['https://example.org/bans', 'file://host/bans']) {
      const message = `${method} path is "${url}"; accepted: the path of a file as a string, or a file URL`;
      assert.throws(() => reputation[method](new URL(url)), invalid(message));
    }
  }
});

test('a list with a hole is no list of strings', () => {
  // biome-ignore lint/suspicious/noSparseArray: a hole is no string
  const holed = [, '10.0.0.0/8'];
  const message = /^Reputation deny is an array; accepted: an array of strings$/;
  assert.throws(() => new Reputation(freshName(), { ...RULES, deny: holed }), invalid(message));
});
