// What a thread keeps of decoded values: no read returns an older value than one before it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { DecodedEntries } from '../../lib/registry/decoded-entries.js';

/** The value that a registry returns without more look-ups. */
function valueAt(decoded, key, version) {
  return version === decoded.valuesAt ? decoded.values.get(key) : undefined;
}

/** An entry that was read twice at version 7, so that its value is found by itself. */
function readTwice() {
  const decoded = new DecodedEntries();
  decoded.set('a', { version: 3, value: 'old', checkedAt: 7 });
  assert.equal(valueAt(decoded, 'a', 7), undefined);
  assert.equal(decoded.current('a', 7).value, 'old');
  assert.equal(valueAt(decoded, 'a', 7), 'old');
  return decoded;
}

test('a value is found by itself at the version that it was checked at, and at no other', () => {
  const decoded = readTwice();
  for (const version of [-1, 6, 8]) {
    assert.equal(valueAt(decoded, 'a', version), undefined);
    assert.equal(decoded.current('a', version), undefined);
  }
  assert.equal(valueAt(decoded, 'a', 7), 'old');
});

// A thread may have a newer entry while it is still shown the version before.
test('a newer entry hides the value at once', () => {
  const decoded = readTwice();
  decoded.set('a', { version: 8, value: 'new', checkedAt: 8 });
  assert.equal(valueAt(decoded, 'a', 7), undefined);
  assert.equal(decoded.current('a', 7), undefined);
});

test('a deleted entry hides the value at once', () => {
  const decoded = readTwice();
  decoded.delete('a');
  assert.equal(valueAt(decoded, 'a', 7), undefined);
  assert.equal(decoded.size, 0);
});

test('the entries of a snapshot hide all values at once', () => {
  const decoded = readTwice();
  decoded.replaceAll([['a', { version: 8, value: 'new', checkedAt: 8 }]]);
  assert.equal(valueAt(decoded, 'a', 7), undefined);
  assert.equal(decoded.current('a', 8).value, 'new');
  assert.equal(valueAt(decoded, 'a', 8), 'new');
});

test('values of an earlier version are dropped when another version is read twice', () => {
  const decoded = readTwice();
  decoded.set('b', { version: 8, value: 'b', checkedAt: 8 });
  assert.equal(decoded.current('b', 8).value, 'b');
  assert.equal(valueAt(decoded, 'b', 8), 'b');
  assert.deepEqual([valueAt(decoded, 'a', 7), valueAt(decoded, 'a', 8)], [undefined, undefined]);
});
