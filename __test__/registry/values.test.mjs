// Registry: which values are accepted. Every thread reads them as frozen copies.
import assert from 'node:assert/strict';
import test from 'node:test';
import vm from 'node:vm';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';

const { Registry } = sluice;

const fresh = () => new Registry(freshName());

test('undefined and null are values', () => {
  const registry = fresh();
  registry.set('a', undefined);
  registry.set('b', null);
  assert.deepEqual([registry.has('a'), registry.get('a'), registry.get('b')], [true, undefined, null]);
  assert.equal(registry.getOrThrow('a'), undefined);
});

test('values are read back unchanged', () => {
  const registry = fresh();
  const values = [
    true,
    -0,
    NaN,
    Infinity,
    2 ** 53,
    1e-300,
    -(2n ** 200n),
    '',
    'text \ud800 \0 €',
    [],
    [[1, [2, [undefined, null]]]],
    {},
    { a: { b: [{ c: 1n }] }, '': 2, 'weird key': 3, __proto__: null },
    Object.create(null),
    'x'.repeat(1 << 20),
  ];
  for (const [index, value] of values.entries()) {
    registry.set(`${index}`, value);
    assert.deepEqual(
      registry.get(`${index}`),
      value && typeof value === 'object' ? structuredClone(value) : value,
    );
  }
  assert.ok(Object.is(registry.get('1'), -0));
  registry.set('own', JSON.parse('{"__proto__": {"x": 1}}'));
  assert.deepEqual(Object.keys(registry.get('own')), ['__proto__']);
  registry.set('realm', vm.runInNewContext('({ plain: [1] })'));
  assert.deepEqual(registry.get('realm'), { plain: [1] });
});

test('a value is deeply frozen, and the same object until its version changes', () => {
  const registry = fresh();
  const given = { list: [{ deep: 1 }] };
  registry.set('a', given);
  const value = registry.get('a');
  assert.ok(Object.isFrozen(value) && Object.isFrozen(value.list) && Object.isFrozen(value.list[0]));
  assert.equal(Object.isFrozen(given), false, 'the object passed in is not frozen');
  given.list[0].deep = 2;
  assert.equal(registry.get('a').list[0].deep, 1);
  registry.set('b', 1);
  assert.equal(registry.get('a'), value);
  assert.equal(registry.snapshot().get('a'), value);
  registry.set('a', { list: [{ deep: 1 }] });
  assert.notEqual(registry.get('a'), value);
});

test('an unsupported value throws with its path and changes nothing', () => {
  const registry = fresh();
  registry.set('a', 'before');
  const cycle = { inner: {} };
  cycle.inner.back = cycle;
  class Point {}
  const mistakes = [
    [() => {}, /^value is a function; accepted: null, undefined, booleans/],
    [Symbol('s'), /^value is a Symbol/],
    [{ a: [1, () => {}] }, /^value\.a\[1\] is a function/],
    [{ 'two words': new Date() }, /^value\["two words"\] is a Date/],
    [new Map(), /^value is a Map/],
    [Buffer.from('a'), /^value is a Buffer/],
    [new Point(), /^value is a Point/],
    [cycle, /^value\.inner\.back is a cycle/],
    // biome-ignore lint/suspicious/noSparseArray: a hole is what is tested
    [[1, , 2], /^value\[1\] is a hole/],
    [Object.assign([1], { x: 1 }), /^value is an array with properties/],
    [{ [Symbol('s')]: 1 }, /^value is an object with symbols/],
    [Promise.resolve(), /^value is a Promise/],
  ];
  for (const [value, message] of mistakes) {
    const invalid = { name: 'SluiceError', code: 'ERR_SLUICE_INVALID_VALUE', message };
    assert.throws(() => registry.set('a', value), invalid);
    assert.throws(() => registry.setIfAbsent('b', value), invalid);
    assert.throws(() => registry.update('a', () => value), invalid);
    const named = new RegExp(message.source.replace('^value', '^value of "a"'));
    assert.throws(() => registry.replaceAll([['a', value]]), {
      code: 'ERR_SLUICE_INVALID_VALUE',
      message: named,
    });
  }
  assert.deepEqual([registry.version, registry.get('a'), registry.size], [1, 'before', 1]);
  const shared = { x: 1 };
  registry.set('a', [shared, shared]);
  assert.deepEqual(registry.get('a'), [{ x: 1 }, { x: 1 }], 'the same object twice is not a cycle');
});
