// What travels arrives as it was; what cannot is refused by its path.
import assert from 'node:assert/strict';
import test from 'node:test';
import { shared } from './helpers/broker.mjs';

const DEEP = Array.from({ length: 100 }).reduce((inner) => ({ inner }), 'end');

const PAYLOADS = {
  'an undefined': undefined,
  'a null': null,
  'a true': true,
  'a zero': 0,
  'a negative zero': -0,
  'no number': Number.NaN,
  infinity: Number.NEGATIVE_INFINITY,
  'a bigint': 2n ** 80n,
  'an empty string': '',
  'a string': 'text',
  'a string of many scripts': 'aä☃😀'.repeat(5),
  'a long string': 'x'.repeat(5_000),
  'a long string of many scripts': 'aä☃😀'.repeat(5_000),
  'a lone surrogate': '\ud800',
  'a long string with a lone surrogate': `${'x'.repeat(1_000)}\ud800`,
  'an empty array': [],
  'an array in an array': [[], [1, [2]]],
  'an array with undefined': [undefined, 1],
  'an empty object': {},
  'an object': { id: 1, name: 'n', ok: true, list: [1, 2], none: null },
  'an object with undefined': { a: undefined },
  'an object with a negative zero': { a: -0 },
  'keys of any text': { 'a"b': 2, '': 3, 'ü\n': 4 },
  'a key that objects have another use for': JSON.parse('{"__proto__":{"a":1}}'),
  'an object a hundred deep': DEEP,
  'a date': new Date(1_700_000_000_000),
  'a map': new Map([['a', { b: new Date(1) }]]),
  'a set': new Set([1, 'two', [3]]),
  'a buffer': Buffer.from([0, 1, 255]),
  'an empty buffer': Buffer.alloc(0),
  'a large buffer': Buffer.alloc(300_000, 7),
  'a Uint8Array': new Uint8Array([1, 2]),
  'a part of a Uint8Array': new Uint8Array([1, 2, 3, 4]).subarray(1, 3),
  'a Float64Array': new Float64Array([0.5, -0]),
  'an ArrayBuffer': new Uint8Array([9]).buffer,
  'a DataView': new DataView(new Uint8Array([1, 2]).buffer),
  'a buffer in an object': { head: 1, body: Buffer.from('body') },
};

test('every kind of payload comes back as it was', async (t) => {
  const { broker } = await shared(t, 1);
  for (const [what, payload] of Object.entries(PAYLOADS)) {
    const answer = await broker.call('echo', payload);
    assert.deepEqual(answer, payload, what);
    assert.equal(Object.is(answer, -0), Object.is(payload, -0), what);
    if (typeof payload === 'object' && payload !== null) {
      assert.equal(Object.getPrototypeOf(answer), Object.getPrototypeOf(payload), what);
    }
  }
});

test('payloads of all kinds keep their order and their callers', async (t) => {
  const { broker } = await shared(t, 1);
  const payloads = Array.from({ length: 20 }, () => Object.values(PAYLOADS)).flat();
  const answers = await Promise.all(payloads.map((payload) => broker.call('echo', payload)));
  assert.deepEqual(answers, payloads);
});

test('what arrives is one’s own: not frozen, and nobody else’s', async (t) => {
  const { broker } = await shared(t, 1);
  const payload = { list: [1], body: Buffer.from('x') };
  const answer = await broker.call('echo', payload);
  answer.list.push(2);
  answer.body[0] = 0;
  answer.more = true;
  assert.deepEqual(payload, { list: [1], body: Buffer.from('x') });
});

test('what cannot travel is refused by its path', async (t) => {
  const { broker } = await shared(t, 1);
  const cycle = { a: {} };
  cycle.a.b = cycle;
  const refused = [
    [() => 1, 'payload is a function'],
    [{ list: [1, Symbol('s')] }, 'payload.list[1] is a Symbol'],
    [{ 'a b': new WeakMap() }, 'payload["a b"] is a WeakMap'],
    [{ at: new Map([[1, () => 2]]) }, 'payload.at.values[0] is a function'],
    [new Set([new (class Point {})()]), 'payload.values[0] is a Point'],
    [cycle, 'payload.a.b is a cycle'],
    [Promise.resolve(1), 'payload is a Promise'],
    [new Error('no'), 'payload is a Error'],
    [new SharedArrayBuffer(2), 'payload is a SharedArrayBuffer'],
  ];
  for (const [payload, message] of refused) {
    await assert.rejects(broker.call('echo', payload), (error) => {
      assert.equal(error.code, 'ERR_SLUICE_INVALID_VALUE');
      assert.ok(error.message.startsWith(message), `${error.message}\nexpected ${message}`);
      return true;
    });
    assert.throws(() => broker.broadcast(payload), { code: 'ERR_SLUICE_INVALID_VALUE' });
  }
  assert.deepEqual([broker.pendingCount, broker.stats().waiting], [0, 0]);
});
