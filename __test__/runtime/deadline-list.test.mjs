// The list of deadlines that fired calls and broker calls share.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import deadlines from '../../lib/runtime/deadline.js';
import lists from '../../lib/runtime/deadline-list.js';
import { native } from '../../lib/runtime/native.js';
import { stopClock } from '../helpers/setup.mjs';

const { DeadlineList } = lists;
const clock = stopClock();

/** A list, the names of the entries that expired, and a function that adds an entry due in `ms`. */
function fresh({ tickMs = 1, isDeferred = false } = {}) {
  const list = new DeadlineList({ tickMs, keepsAlive: false, isDeferred });
  const expired = [];
  const add = (name, ms) => {
    const entry = { tick: undefined, previous: undefined, next: undefined, expire: () => expired.push(name) };
    list.add(entry, native.elapsed() + ms);
    list.arm();
    return entry;
  };
  return { list, expired, add };
}

/** Advances the clock and waits until this thread has followed it. */
async function pass(ms) {
  const followed = new Promise((resolve) => new deadlines.Deadline(ms, resolve));
  clock.advance(ms);
  await followed;
}

test('entries expire by their deadlines, whatever the order in which they were added', async () => {
  const { expired, add } = fresh();
  for (const ms of [300, 100, 30_000, 200, 100]) add(ms, ms);
  await pass(99);
  assert.deepEqual(expired, []);
  await pass(1);
  assert.deepEqual(expired, [100, 100]);
  await pass(200);
  assert.deepEqual(expired, [100, 100, 200, 300]);
  await pass(30_000);
  assert.equal(expired.length, 5);
});

test('an entry that was removed does not expire, and removing it again does nothing', async () => {
  const { list, expired, add } = fresh();
  const entries = ['a', 'b', 'c', 'd'].map((name) => add(name, 100));
  for (const index of [1, 3, 1]) list.remove(entries[index]);
  const later = add('later', 200);
  list.remove(later);
  await pass(200);
  assert.deepEqual(expired, ['a', 'c']);
});

test('the entries of a tick expire together, at the latest deadline among them', async () => {
  const { list, expired, add } = fresh({ tickMs: 8 });
  const start = Math.ceil(native.elapsed() / 8) * 8 - native.elapsed();
  add('first', start + 81);
  add('last', start + 86);
  add('next tick', start + 90);
  await pass(start + 85);
  assert.deepEqual(expired, []);
  await pass(1);
  assert.deepEqual(expired, ['first', 'last']);
  await pass(4);
  assert.deepEqual(expired, ['first', 'last', 'next tick']);
  list.remove(add('removed', 10));
});

test('an entry that is due already expires at once, and the next still has a timer', async () => {
  const { expired, add } = fresh();
  add('due', -5);
  assert.deepEqual(expired, ['due']);
  add('later', 100);
  await pass(100);
  assert.deepEqual(expired, ['due', 'later']);
});

test('a deferred list expires its entries one turn of the event loop later', async () => {
  const { expired, add } = fresh({ isDeferred: true });
  add('call', 100);
  await pass(100);
  assert.deepEqual(expired, []);
  await turn();
  assert.deepEqual(expired, ['call']);
});

test('a timer that cannot be set is set by the next entry', async (t) => {
  const { expired, add } = fresh();
  const { setTimeout } = globalThis;
  t.after(() => {
    globalThis.setTimeout = setTimeout;
  });
  globalThis.setTimeout = () => {
    throw new RangeError('Maximum call stack size exceeded');
  };
  assert.throws(() => add('first', 100), RangeError);
  globalThis.setTimeout = setTimeout;
  add('second', 300);
  await pass(100);
  assert.deepEqual(expired, ['first']);
  await pass(200);
  assert.deepEqual(expired, ['first', 'second']);
});
