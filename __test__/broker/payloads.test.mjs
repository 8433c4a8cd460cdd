// Which payloads are accepted. They arrive equal to what was sent; others are rejected with their path.
import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import test from 'node:test';
import { join, shared, until } from '../helpers/broker.mjs';

const DEEP = Array.from({ length: 100 }).reduce((inner) => ({ inner }), 'end');

/** A value with a `toJSON` method, which `JSON.stringify` would call. */
const withToJSON = (value, toJSON) => Object.defineProperty(value, 'toJSON', { value: toJSON });

const PAYLOADS = {
  'an undefined': undefined,
  'a null': null,
  'a true': true,
  'a zero': 0,
  'a negative zero': -0,
  'not a number': Number.NaN,
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
  'a __proto__ key': JSON.parse('{"__proto__":{"a":1}}'),
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

test('every accepted kind of payload makes the round trip unchanged', async (t) => {
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

test('concurrent calls with payloads of all kinds each get their own answer', async (t) => {
  const { broker } = await shared(t, 1);
  const payloads = Array.from({ length: 20 }, () => Object.values(PAYLOADS)).flat();
  const answers = await Promise.all(payloads.map((payload) => broker.call('echo', payload)));
  assert.deepEqual(answers, payloads);
});

test('toJSON is not called', async (t) => {
  const { broker } = await shared(t, 1);
  for (const other of [undefined, 'other', [1]]) {
    const toJSON = () => other;
    const beside = broker.call('echo', 'beside');
    assert.deepEqual(await broker.call('echo', withToJSON({ a: 1 }, toJSON)), { a: 1 });
    assert.deepEqual(await broker.call('echo', { list: withToJSON([1, 2], toJSON) }), { list: [1, 2] });
    assert.equal(await beside, 'beside');
  }
});

test('arrays with properties and objects with symbol keys are accepted', async (t) => {
  const { broker } = await shared(t, 1);
  for (const text of ['ab', 'b']) {
    const match = text.match(/(a)?b/);
    assert.deepEqual([...(await broker.call('echo', match))], [...match]);
  }
  for (const a of [1, 1n]) assert.deepEqual(await broker.call('echo', { a, [Symbol('s')]: 2 }), { a });
  const named = Object.assign([1n], { more: { f() {} } });
  await assert.rejects(broker.call('echo', named), /payload\.more\.f is a function/);
});

test('a batch longer than the maximum string length arrives, in order', async (t) => {
  const broker = join(t);
  const received = [];
  broker.on('message', ({ text, index }) => received.push([text.length, index]));
  // After these messages the sender puts eight in a batch.
  for (let index = 0; index < 100; index++) broker.send(broker.id, { text: '', index });
  await until(() => received.length === 100);
  received.length = 0;
  const text = 'x'.repeat(2 ** 26);
  for (let index = 0; index < 8; index++) broker.send(broker.id, { text, index });
  await until(() => received.length === 8);
  assert.deepEqual(
    received,
    received.map((_, index) => [text.length, index]),
  );
  assert.equal(broker.stats().waiting, 0);
});

test('an object whose JSON has the maximum string length arrives', async (t) => {
  const broker = join(t);
  broker.handle('length', ({ text }) => text.length);
  const length = constants.MAX_STRING_LENGTH - JSON.stringify({ text: '' }).length;
  assert.equal(await broker.call('length', { text: 'x'.repeat(length) }), length);
});

test('a received value is not frozen and not shared with the sender', async (t) => {
  const { broker } = await shared(t, 1);
  const payload = { list: [1], body: Buffer.from('x') };
  const answer = await broker.call('echo', payload);
  answer.list.push(2);
  answer.body[0] = 0;
  answer.more = true;
  assert.deepEqual(payload, { list: [1], body: Buffer.from('x') });
});

test('a value of another kind is rejected with its path', async (t) => {
  const { broker } = await shared(t, 1);
  const cycle = { a: {} };
  cycle.a.b = cycle;
  const rejected = [
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
  for (const [payload, message] of rejected) {
    await assert.rejects(broker.call('echo', payload), (error) => {
      assert.equal(error.code, 'ERR_SLUICE_INVALID_VALUE');
      assert.ok(error.message.startsWith(message), `${error.message}\nexpected ${message}`);
      return true;
    });
    assert.throws(() => broker.broadcast(payload), { code: 'ERR_SLUICE_INVALID_VALUE' });
  }
  assert.deepEqual([broker.pendingCount, broker.stats().waiting], [0, 0]);
});

test('payloads of 4 GiB or more are rejected, also when several views add up to that', async (t) => {
  const { broker, ids } = await shared(t, 1);
  const GIB = 2 ** 30;
  // Never written, so the system commits no memory.
  const half = new ArrayBuffer(2 * GIB);
  const views = [new Uint8Array(half), new Float64Array(half), new DataView(half)];
  const payloads = [
    [
      new Uint8Array(4 * GIB),
      /^payload has 4294967296 bytes; accepted: less than 4294967296 bytes \(4 GiB\)/,
    ],
    [{ list: views }, /^payload\.list\[1\] is at 4294967296 bytes; accepted: less than 4294967296 bytes/],
    [
      new Map([
        ['half', half],
        ['view', views[0]],
      ]),
      /^payload\.values\[1\] is at 4294967296 bytes/,
    ],
  ];
  for (const [payload, message] of payloads) {
    const invalid = { code: 'ERR_SLUICE_INVALID_VALUE', message };
    await assert.rejects(broker.call('echo', payload), invalid);
    assert.throws(() => broker.send(ids[0], payload), invalid);
    assert.throws(() => broker.broadcast(payload), invalid);
  }
  assert.deepEqual([broker.stats().inFlight, broker.stats().waiting, broker.pendingCount], [0, 0, 0]);
});
