// Values that misreport their type or size: each is rejected or travels as what it is, and none leaks inbox capacity.
import assert from 'node:assert/strict';
import test from 'node:test';
import { join, until } from '../helpers/broker.mjs';
import { freshName } from '../helpers/peer.mjs';

const withOwn = (value, key, own) => Object.defineProperty(value, key, { value: own });

/** Made for each use, as some cannot be used twice. */
const REJECTED = {
  'a Proxy of a Buffer': () => new Proxy(Buffer.from('abc'), {}),
  'a Proxy of a Uint8Array': () => new Proxy(new Uint8Array(3), {}),
  'a Proxy in an object that is not JSON': () => ({ n: 1n, p: new Proxy({ a: 1 }, {}) }),
  'an object with the prototype of a Uint8Array': () => Object.create(Uint8Array.prototype),
  'an object with the prototype of a Buffer': () => Object.create(Buffer.prototype),
  'an object with the prototype of a Date': () => Object.create(Date.prototype),
  'an object with the prototype of a Map': () => Object.create(Map.prototype),
  'an object with the prototype of a Set': () => Object.create(Set.prototype),
  'a Map whose iterator hides its entries': () =>
    withOwn(new Map([['f', () => 1]]), Symbol.iterator, function* () {}),
  'a Set whose forEach hides its members': () => withOwn(new Set([() => 1]), 'forEach', () => {}),
  'a typed array whose buffer is detached': () => {
    const bytes = new Uint8Array(8);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    return { bytes };
  },
  'an object whose constructor getter throws': () => {
    const get = () => {
      throw new Error('no name');
    };
    return Object.create(Object.defineProperty({}, 'constructor', { get }));
  },
};

const TRAVEL = {
  'a Buffer with a length of its own': [() => withOwn(Buffer.from('abc'), 'length', 2), Buffer.from('abc')],
  'a Buffer with a larger length of its own': [
    () => withOwn(Buffer.from('abc'), 'length', 2 ** 31),
    Buffer.from('abc'),
  ],
  'a Buffer whose length is not a number': [
    () => withOwn(Buffer.from('abc'), 'length', {}),
    Buffer.from('abc'),
  ],
  'a Uint8Array with a byteOffset of its own': [
    () => withOwn(new Uint8Array([1, 2, 3]), 'byteOffset', 99),
    new Uint8Array([1, 2, 3]),
  ],
  'a Proxy of a plain object': [() => new Proxy({ a: [1] }, {}), { a: [1] }],
  'an object with the toStringTag of a Map': [() => ({ [Symbol.toStringTag]: 'Map', a: 1n }), { a: 1n }],
};

/** Polls, as answers are counted at the end of a turn. */
async function assertNothingIsLeft(broker, what) {
  await until(() => broker.stats().inFlight === 0);
  const { waiting, inFlight } = broker.stats();
  assert.deepEqual({ waiting, inFlight, pending: broker.pendingCount }, NOTHING, what);
}

const NOTHING = { waiting: 0, inFlight: 0, pending: 0 };

/** A broker whose inbox is full once two messages have leaked capacity. */
function narrowInbox(t) {
  const broker = join(t, freshName(), { inbox: 2 });
  broker.handle('echo', (payload) => payload);
  broker.handle('give', (what) => REJECTED[what]());
  return broker;
}

test('a rejected value keeps no inbox capacity, as a payload or as a result', async (t) => {
  const broker = narrowInbox(t);
  for (const [what, make] of Object.entries(REJECTED)) {
    for (let round = 0; round < 5; round++) {
      const invalid = { name: 'SluiceError', code: 'ERR_SLUICE_INVALID_VALUE' };
      await assert.rejects(broker.call('echo', make()), invalid, what);
      assert.throws(() => broker.send(broker.id, make()), invalid, what);
      assert.throws(() => broker.broadcast(make()), invalid, what);
      await assert.rejects(broker.call('give', what), invalid, `${what} as a result`);
    }
    await assertNothingIsLeft(broker, what);
  }
  assert.equal(await broker.call('echo', 'still there'), 'still there');
});

test('own properties that misreport a value do not change how it travels', async (t) => {
  const broker = narrowInbox(t);
  for (const [what, [make, expected]] of Object.entries(TRAVEL)) {
    for (let round = 0; round < 5; round++)
      assert.deepEqual(await broker.call('echo', make()), expected, what);
  }
  await assertNothingIsLeft(broker);
});

test('methods overridden on a signal are not called while a call is sent', async (t) => {
  const broker = narrowInbox(t);
  const fail = () => {
    throw new Error('from the signal');
  };
  for (let round = 0; round < 5; round++) {
    const { signal } = new AbortController();
    for (const method of ['addEventListener', 'removeEventListener', 'throwIfAborted']) {
      withOwn(signal, method, fail);
    }
    assert.equal(await broker.call('echo', 1, { signal }), 1);
    const pretended = Object.create(AbortSignal.prototype);
    const invalid = { code: 'ERR_SLUICE_INVALID_OPTION' };
    await assert.rejects(broker.call('echo', 1, { signal: pretended }), invalid);
  }
  await assertNothingIsLeft(broker);
});

test('a payload getter that throws keeps no inbox capacity; its error reaches the caller', async (t) => {
  const broker = narrowInbox(t);
  const lying = {
    n: 1n,
    get value() {
      throw new RangeError('mine');
    },
  };
  for (let round = 0; round < 5; round++) {
    await assert.rejects(broker.call('echo', lying), { name: 'RangeError', message: 'mine' });
  }
  await assertNothingIsLeft(broker);
});
