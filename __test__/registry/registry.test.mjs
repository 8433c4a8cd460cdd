// Registry: reads, writes, snapshots and "change" events in one thread.
// Which values are accepted is in values.test.mjs, several threads are in threads.test.mjs.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import test from 'node:test';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';

const { Registry } = sluice;

const fresh = () => new Registry(freshName());

/** Collects changes up to that of `version`. Listeners do not keep the process alive; a timer does. */
async function changesUpTo(t, registry, version) {
  const changes = [];
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
  await new Promise((resolve) => {
    registry.on('change', (change) => {
      changes.push(change);
      if (change.version >= version) resolve();
    });
  });
  return changes;
}

test('set(), get(), has() and delete() change size and version', () => {
  const registry = fresh();
  assert.deepEqual([registry.get('a'), registry.has('a'), registry.size], [undefined, false, 0]);
  assert.equal(registry.set('a', 1), 1);
  assert.equal(registry.set('b', 2), 2);
  assert.deepEqual([registry.get('a'), registry.has('a'), registry.size, registry.version], [1, true, 2, 2]);
  assert.deepEqual([registry.delete('a'), registry.delete('a')], [true, false]);
  assert.deepEqual([registry.get('a'), registry.size, registry.version], [undefined, 1, 3]);
});

test('a value that was read many times is the new one after each kind of write', () => {
  const registry = fresh();
  const writes = [
    [() => registry.set('a', 1), 1],
    [() => registry.set('a', 2), 2],
    [() => registry.set('b', 0), 2],
    [() => registry.delete('a'), undefined],
    [() => registry.setIfAbsent('a', 3), 3],
    [() => registry.update('a', (old) => old + 1), 4],
    [() => registry.replaceAll({ a: 5 }), 5],
    [() => registry.snapshot(), 5],
    [() => registry.set('a', undefined), undefined],
    [() => registry.replaceAll({}), undefined],
  ];
  for (const [write, value] of writes) {
    write();
    // The first read asks for the entry, the second keeps its value, the third has it.
    for (let read = 0; read < 4; read++) assert.equal(registry.get('a'), value, `${write}`);
    assert.equal(registry.has('a'), registry.snapshot().has('a'), `${write}`);
  }
  Registry.destroy(registry.name);
  assert.throws(() => registry.get('a'), { code: 'ERR_SLUICE_CLOSED' });
});

test('getOrThrow() throws NOT_FOUND with the key', () => {
  const registry = fresh();
  const notFound = { name: 'SluiceError', code: 'ERR_SLUICE_NOT_FOUND', message: /has no key "a\\"b"/ };
  assert.throws(() => registry.getOrThrow('a"b'), notFound);
});

test('setIfAbsent() sets a key once', () => {
  const registry = fresh();
  assert.deepEqual(
    [registry.setIfAbsent('a', 1), registry.setIfAbsent('a', 2), registry.get('a')],
    [true, false, 1],
  );
  assert.equal(registry.version, 1);
});

test('update() passes the old value, and calls its function again if the key was written meanwhile', () => {
  const registry = fresh();
  assert.equal(registry.update('a', (old) => [old]).length, 1);
  const seen = [];
  const value = registry.update('a', (old) => {
    seen.push(old);
    if (seen.length === 1) registry.set('a', 'between');
    return `${old}, then`;
  });
  assert.deepEqual(
    [value, registry.get('a'), seen],
    ['between, then', 'between, then', [[undefined], 'between']],
  );
  const own = new Error('own error');
  const failing = () => {
    throw own;
  };
  assert.throws(
    () => registry.update('a', failing),
    (error) => error === own,
  );
  assert.equal(registry.get('a'), 'between, then');
});

test('keys(), entries() and iteration show one version each', () => {
  const registry = fresh();
  registry.replaceAll({ a: 1, b: 2 });
  const [keys, entries] = [registry.keys(), registry.entries()];
  registry.set('c', 3);
  registry.delete('a');
  assert.deepEqual([...keys].sort(), ['a', 'b']);
  assert.deepEqual(
    new Map(entries),
    new Map([
      ['a', 1],
      ['b', 2],
    ]),
  );
  assert.deepEqual(
    new Map(registry),
    new Map([
      ['b', 2],
      ['c', 3],
    ]),
  );
});

test('a snapshot is an immutable map', () => {
  const registry = fresh();
  registry.replaceAll([
    ['a', 1],
    ['b', { deep: 2 }],
  ]);
  const snapshot = registry.snapshot();
  registry.replaceAll([]);
  assert.deepEqual([snapshot.size, snapshot.version, snapshot.get('a'), snapshot.has('c')], [2, 1, 1, false]);
  assert.deepEqual([...snapshot.keys()].sort(), ['a', 'b']);
  assert.deepEqual(new Map(snapshot.entries()), new Map(snapshot));
  const visited = [];
  snapshot.forEach((value, key, map) => {
    visited.push([key, value, map === snapshot]);
  });
  assert.deepEqual(visited.sort(), [
    ['a', 1, true],
    ['b', { deep: 2 }, true],
  ]);
  assert.deepEqual(
    [snapshot.set, snapshot.delete, snapshot.clear, Object.isFrozen(snapshot)],
    [undefined, undefined, undefined, true],
  );
});

test('replaceAll() takes a map, pairs or an object; unchanged values keep their version', async (t) => {
  const registry = fresh();
  assert.equal(
    registry.replaceAll(
      new Map([
        ['a', 1],
        ['b', [2]],
      ]),
    ),
    1,
  );
  const b = registry.get('b');
  const changes = changesUpTo(t, registry, 3);
  assert.equal(registry.replaceAll({ b: [2], c: 3 }), 2);
  assert.equal(registry.get('b'), b);
  registry.set('end', 1);
  assert.deepEqual(await changes, [
    { key: 'a', version: 2 },
    { key: 'c', version: 2 },
    { key: 'end', version: 3 },
  ]);
  for (const entries of [undefined, null, 7, 'ab', [1], [['', 1]]]) {
    assert.throws(() => registry.replaceAll(entries), { code: /ERR_SLUICE_INVALID_(VALUE|KEY)/ });
  }
  assert.deepEqual(
    new Map(registry),
    new Map([
      ['b', [2]],
      ['c', 3],
      ['end', 1],
    ]),
  );
});

test('changes are emitted in order and asynchronously, also in the thread that made them', async (t) => {
  const registry = fresh();
  const emitted = [];
  const changes = changesUpTo(t, registry, 3);
  registry.on('change', ({ version }) => emitted.push(version));
  registry.set('a', 1);
  registry.set('b', 1);
  registry.delete('a');
  registry.delete('nothing');
  registry.setIfAbsent('b', 2);
  assert.deepEqual(emitted, []);
  assert.deepEqual(await changes, [
    { key: 'a', version: 1 },
    { key: 'b', version: 2 },
    { key: 'a', version: 3 },
  ]);
});

test('once() and off(); a listener runs in the async context in which it was added', async (t) => {
  const registry = fresh();
  const storage = new AsyncLocalStorage();
  const emitted = [];
  const removed = () => emitted.push('removed');
  registry.on('change', removed).off('change', removed);
  storage.run('context', () => registry.once('change', () => emitted.push(storage.getStore())));
  registry.set('a', 1);
  registry.set('a', 2);
  await changesUpToNow(t, registry);
  assert.deepEqual(emitted, ['context']);
  assert.throws(() => registry.on('chnage', () => {}), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /"chnage".*"change"/,
  });
  assert.throws(() => registry.on('change'), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /listener is undefined/,
  });
});

async function changesUpToNow(t, registry) {
  const changes = changesUpTo(t, registry, registry.version + 1);
  registry.set('end', 1);
  await changes;
}

test('a key is a non-empty string without lone surrogates', () => {
  const registry = fresh();
  for (const key of ['', undefined, null, 7, {}, 'lone \ud800']) {
    const invalid = {
      name: 'SluiceError',
      code: 'ERR_SLUICE_INVALID_KEY',
      message: /key is .*; accepted: a non-empty string/,
    };
    for (const call of [
      () => registry.get(key),
      () => registry.has(key),
      () => registry.getOrThrow(key),
      () => registry.set(key, 1),
      () => registry.setIfAbsent(key, 1),
      () => registry.update(key, () => 1),
      () => registry.delete(key),
    ]) {
      assert.throws(call, invalid);
    }
  }
  assert.throws(() => registry.update('a', 1), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /^update is 1/,
  });
  registry.set('k'.repeat(100_000), 1);
  assert.equal(registry.get('k'.repeat(100_000)), 1);
  assert.equal(registry.get(`${'k'.repeat(99_999)}l`), undefined);
});

test('size copies no keys', () => {
  const registry = new Registry(freshName());
  registry.replaceAll(Array.from({ length: 10_000 }, (_, i) => [`${'k'.repeat(1_000)} ${i}`, i]));
  const before = process.memoryUsage().heapUsed;
  assert.equal(registry.size, 10_000);
  // Copies of the keys would take ten megabytes.
  assert.ok(process.memoryUsage().heapUsed - before < 2e6);
  Registry.destroy(registry.name);
  assert.throws(() => registry.size, { code: 'ERR_SLUICE_CLOSED' });
});

test('update() throws if its function writes the same key on each call', () => {
  const registry = fresh();
  const same = new Registry(registry.name);
  const writes = {
    set: () => registry.set('key', 9),
    setIfAbsent: () => {
      registry.delete('key');
      registry.setIfAbsent('key', 9);
    },
    delete: () => registry.delete('key'),
    update: () => registry.update('key', () => 9),
    replaceAll: () => registry.replaceAll([['key', registry.version]]),
    'by another object': () => same.set('key', 9),
    'and catches the error': () => {
      try {
        registry.set('key', 9);
      } catch {}
    },
  };
  for (const [what, write] of Object.entries(writes)) {
    registry.set('key', 1);
    let calls = 0;
    const change = () => {
      calls += 1;
      if (calls > 3) throw new Error('it goes on');
      write();
      return 2;
    };
    const refused = {
      code: 'ERR_SLUICE_UNSUPPORTED',
      message: /the function of update writes "key", the key/,
    };
    assert.throws(() => registry.update('key', change), refused, what);
    assert.equal(calls, 2, what);
    registry.set('key', 3);
    assert.equal(registry.get('key'), 3, what);
  }
});

test('update() throws if its function updates the same key', () => {
  const registry = fresh();
  let calls = 0;
  const change = () => {
    calls += 1;
    return calls > 10 ? 1 : registry.update('key', change);
  };
  assert.throws(() => registry.update('key', change), { code: 'ERR_SLUICE_UNSUPPORTED' });
  assert.deepEqual([calls, registry.has('key')], [2, false]);
});

test('the function of update() may write other keys and other registries, and may throw', () => {
  const [registry, other] = [fresh(), fresh()];
  const change = () => {
    registry.set('seen', true);
    other.set('key', 1);
    return registry.update('inner', () => 2);
  };
  assert.equal(registry.update('key', change), 2);
  assert.deepEqual([registry.get('seen'), other.get('key'), registry.get('inner')], [true, 1, 2]);
  const failing = () => {
    throw new Error('of the function');
  };
  assert.throws(() => registry.update('key', failing), { message: 'of the function' });
  registry.set('key', 3);
  assert.equal(registry.get('key'), 3);
});
