// Objects whose keys were sent often travel without their keys: they arrive as at first.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { join } from '../helpers/broker.mjs';
import { freshName } from '../helpers/peer.mjs';
import generators from '../helpers/random.cjs';

const OFTEN = 20;
const INDEX = new URL('../../index.js', import.meta.url).pathname;

/** A broker whose own thread echoes what it is sent. */
function echo(t) {
  const broker = join(t, freshName());
  broker.handle('echo', (payload) => payload);
  return (payload) => broker.call('echo', payload);
}

/** Equal also in the order of keys and in the kind of zero. */
function assertCopied(answer, payload, what) {
  assert.deepStrictEqual(answer, structuredClone(payload), what);
  assert.deepEqual(JSON.stringify(answer), JSON.stringify(payload), what);
  assert.notEqual(answer, payload);
}

const withGetter = (get) => Object.defineProperty({ id: 1 }, 'twice', { get, enumerable: true });

const OBJECTS = {
  'numbers and strings': { id: 7, user: 'ada', path: '/orders?page=7' },
  'exact numbers': { a: 0, b: -1, c: 0.1, d: 1e21, e: 2 ** 53 - 1, f: 5e-324, g: 1e-7 },
  'inexact numbers': { a: -0, b: Number.NaN, c: Number.POSITIVE_INFINITY },
  'flags and nulls': { yes: true, no: false, none: null },
  'strings that JSON escapes': { a: 'say "hi"', b: 'back\\slash', c: '\u0000\n\u001f\u007f', d: '\u2028' },
  'strings of many scripts': { a: 'Zürich ☃', b: '😀', c: 'aä☃😀'.repeat(50), d: '' },
  'lone surrogates': { a: '\ud800', b: 'x\udfff', '\ud800': 1 },
  'long strings': { a: 'x'.repeat(101), b: 'y'.repeat(5_000), c: '"'.repeat(500) },
  'objects within': { a: { b: { c: [1, { d: 'e' }] } }, f: [], g: {} },
  'undefined within': { a: undefined, b: { c: undefined } },
  'values of other kinds': { a: 1n, b: new Date(3), c: new Map([[1, 2]]) },
  'keys that JSON escapes': { 'a"b': 1, 'c\n': 2, '': 3, ü: 4 },
  'keys that are indices': { 2: 'two', 1: 'one', b: 'last', a: 'later' },
  'keys of Object.prototype': { constructor: 1, toString: 'x', hasOwnProperty: null, valueOf: true },
  'a __proto__ key': JSON.parse('{"a":1,"__proto__":{"b":2}}'),
  'a getter': withGetter(() => 2),
  'more keys than a shape has': Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`key${at}`, at])),
  'long keys': { ['k'.repeat(600)]: 1 },
};

test('objects that are sent often arrive as at first', async (t) => {
  const call = echo(t);
  for (const [what, object] of Object.entries(OBJECTS)) {
    const answers = await Promise.all(Array.from({ length: OFTEN }, () => call(object)));
    for (const answer of answers) {
      if (what === 'values of other kinds') assert.deepStrictEqual(answer, object, what);
      else assertCopied(answer, object, what);
    }
  }
});

test('random objects of few keys arrive equal, with their keys in order', async (t) => {
  const call = echo(t);
  const random = generators.random(7);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const values = [0, -0, 1.5, 'a', '"', 'é', '\ud83d', true, null, undefined, [1, 'b'], { c: 1 }, Number.NaN];
  const made = () => {
    const keys = ['id', 'user', '1', '__proto__', 'ok'].filter(() => random() < 0.5);
    const object = {};
    for (const key of keys.sort(() => random() - 0.5)) {
      const property = { value: pick(values), configurable: true, enumerable: true, writable: true };
      Object.defineProperty(object, key, property);
    }
    return object;
  };
  const objects = Array.from({ length: 4_000 }, made);
  const answers = await Promise.all(objects.map(call));
  for (const [at, object] of objects.entries()) {
    assert.deepStrictEqual(answers[at], object);
    assert.deepEqual(Object.keys(answers[at]), Object.keys(object));
    assert.equal(Object.getPrototypeOf(answers[at]), Object.prototype);
  }
});

test('each answer is an object of its own, which may be changed', async (t) => {
  const call = echo(t);
  for (let i = 0; i < OFTEN; i++) {
    const answer = await call({ changes: 1, list: [1] });
    assert.deepEqual(answer, { changes: 1, list: [1] });
    answer.changes = 'x';
    answer.list.push(2);
    answer.more = 1;
    delete answer.list;
  }
});

test('what the caller changes after the call does not travel', async (t) => {
  const call = echo(t);
  for (let i = 0; i < OFTEN; i++) {
    const payload = { before: i, within: { list: [i] } };
    const answer = call(payload);
    payload.before = 'after';
    payload.within.list.push('after');
    assert.deepEqual(await answer, { before: i, within: { list: [i] } });
  }
});

test('inherited properties do not travel, and setters of Object.prototype do not run', async (t) => {
  const call = echo(t);
  for (let i = 0; i < OFTEN; i++) await call({ own: i, inherited: i });
  let sets = 0;
  const set = () => {
    sets += 1;
  };
  t.after(() => {
    delete Object.prototype.inherited;
    delete Object.prototype.own;
  });
  Object.defineProperty(Object.prototype, 'inherited', { value: 1, enumerable: true, configurable: true });
  Object.defineProperty(Object.prototype, 'own', { set, get: () => 0, configurable: true });
  const only = Object.defineProperty({}, 'own', { value: 5, enumerable: true });
  const [answer, both] = await Promise.all([
    call(only),
    call(Object.defineProperty({ ...only }, 'inherited', { value: 6, enumerable: true })),
  ]);
  assert.deepEqual([Object.keys(answer), answer.own], [['own'], 5]);
  assert.deepEqual([Object.keys(both), both.own, both.inherited], [['own', 'inherited'], 5, 6]);
  assert.equal(sets, 0);
});

test('an error of a getter passes unchanged, however often the keys were sent', async (t) => {
  const call = echo(t);
  for (let i = 0; i < OFTEN; i++) await call(withGetter(() => i));
  const error = new Error('no value');
  const failing = withGetter(() => {
    throw error;
  });
  await assert.rejects(async () => call(failing), error);
  await assert.rejects(async () => call({ id: 1, twice: () => {} }), {
    code: 'ERR_SLUICE_INVALID_VALUE',
    message: /^payload\.twice is/,
  });
});

test('objects with ever new keys arrive, and other objects after them', async (t) => {
  const call = echo(t);
  for (let round = 0; round < 10; round++) {
    const maps = Array.from({ length: 300 }, (_, at) => ({ [`client ${round} ${at}`]: at, total: round }));
    for (let i = 0; i < OFTEN / 2; i++) assert.deepEqual(await Promise.all(maps.map(call)), maps);
  }
  for (let i = 0; i < OFTEN; i++) assert.deepEqual(await call({ late: i, id: 'x' }), { late: i, id: 'x' });
});

test('works where code generation from strings is disallowed', () => {
  const program = `
    const { Broker } = require(${JSON.stringify(INDEX)});
    const broker = new Broker('csp');
    broker.handle('echo', (payload) => payload);
    (async () => {
      let sum = 0;
      for (let i = 0; i < 20; i++) sum += (await broker.call('echo', { id: i, text: 'a' })).id;
      console.log(sum);
      await broker.close();
    })();`;
  const flags = ['--disallow-code-generation-from-strings', '-e', program];
  assert.equal(execFileSync(process.execPath, flags, { encoding: 'utf8' }).trim(), '190');
});
