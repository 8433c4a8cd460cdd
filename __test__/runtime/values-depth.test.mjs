// One bound on the depth of all values that cross threads, so that every thread's stack suffices to read them.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { join, shared, until } from '../helpers/broker.mjs';
import { levelsOf, NARROW, nested } from '../helpers/nested.mjs';
import { freshName, startPeers } from '../helpers/peer.mjs';
import { FILE, open, threads } from '../helpers/spawn.mjs';

const { Broker, ClientHub, ConnectionTracker, Registry } = sluice;

/** The number of levels accepted. */
const MOST = 256;
const PLAIN = ['objects', 'arrays'];
const CLONED = [...PLAIN, 'maps', 'sets'];

/** A body that an attacker could send: small enough for body parsers. */
const BODY = JSON.parse(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`);

function tooDeep(start) {
  return ({ code, message }) => {
    assert.equal(code, 'ERR_SLUICE_INVALID_VALUE');
    assert.ok(message.startsWith(start), message);
    assert.match(message, /… ?\S+ is nested too deeply; accepted: at most 256 levels/);
    assert.ok(message.length < 400, `${message.length} characters`);
    return true;
  };
}

test('a registry accepts at most 256 levels, which every thread can read', async (t) => {
  const registry = new Registry(freshName());
  const [narrow] = startPeers(t, 1, NARROW);
  for (const kind of PLAIN) {
    registry.set(kind, nested(MOST, kind));
    assert.equal(levelsOf(registry.get(kind)), MOST);
    for (const value of [nested(MOST + 1, kind), nested(100_000, kind), BODY]) {
      assert.throws(() => registry.set('deep', value), tooDeep('value'));
      assert.throws(() => registry.setIfAbsent('deep', value), tooDeep('value'));
      assert.throws(() => registry.update('deep', () => value), tooDeep('value'));
      assert.throws(() => registry.replaceAll([['deep', value]]), tooDeep('value of "deep"'));
    }
  }
  assert.deepEqual([...registry.keys()].sort(), ['arrays', 'objects']);
  assert.equal(registry.snapshot().size, 2);
  const read = await narrow.run(({ load }, name) => {
    const registry = new (load().Registry)(name);
    const isFrozen = (value) =>
      value === 'end' || (Object.isFrozen(value) && isFrozen(Object.values(value)[0]));
    return [...registry.snapshot().keys()].map((key) => isFrozen(registry.get(key)));
  }, registry.name);
  assert.deepEqual(read, [true, true]);
});

test('a hub accepts at most 256 levels, which pending calls of other threads can read', async (t) => {
  const hub = new ClientHub(freshName());
  const [narrow] = startPeers(t, 1, NARROW);
  const ask = async ({ load }, name) => {
    const hub = new (load().ClientHub)(name);
    const asked = hub
      .getOrInit('key', () => 'not made here')
      .then(
        (value) => typeof value,
        ({ code, message }) => `${code} ${message}`,
      );
    return asked;
  };
  const outcomes = [];
  for (const levels of [MOST, MOST + 1, 5000]) {
    let make;
    const own = hub.getOrInit('key', () => new Promise((resolve) => (make = resolve)));
    const elsewhere = narrow.run(ask, hub.name);
    while (hub.stats().waiting < 1) await new Promise(setImmediate);
    make(nested(levels));
    outcomes.push(await Promise.all([own.then(levelsOf, ({ code }) => code), elsewhere]));
    hub.invalidate('key');
  }
  assert.deepEqual(outcomes[0], [MOST, 'object']);
  for (const [own, elsewhere] of outcomes.slice(1)) {
    assert.equal(own, 'ERR_SLUICE_INVALID_VALUE');
    assert.match(elsewhere, /^ERR_SLUICE_INVALID_VALUE value of "key"\.inner.*nested too deeply/);
  }
});

test('a broker accepts payloads and results of at most 256 levels of any kind', async (t) => {
  const { broker, ids } = await shared(t, 1, {});
  const [narrow] = startPeers(t, 1, NARROW);
  const serve = ({ load }, name) => {
    const broker = new (load().Broker)(name);
    broker.handle('narrow', (payload) => payload);
  };
  await narrow.run(serve, broker.name);
  for (const kind of CLONED) {
    const payload = nested(MOST, kind);
    for (const endpoint of ['echo', 'narrow']) {
      assert.equal(levelsOf(await broker.call(endpoint, payload)), MOST, `${kind} ${endpoint}`);
    }
    for (const deeper of [nested(MOST + 1, kind), nested(100_000, kind)]) {
      await assert.rejects(broker.call('echo', deeper), tooDeep('payload'));
      assert.throws(() => broker.send(ids[0], deeper), tooDeep('payload'));
      assert.throws(() => broker.broadcast(deeper), tooDeep('payload'));
    }
  }
  await assert.rejects(broker.call('echo', BODY), tooDeep('payload.a.a'));
  await until(() => broker.stats().inFlight === 0);
  assert.deepEqual([broker.stats().waiting, broker.pendingCount], [0, 0]);
});

test('a result that is nested too deeply rejects its call; the handler’s thread goes on', async (t) => {
  const broker = join(t, freshName(), { inbox: 2 });
  broker.handle('deep', (levels) => nested(levels));
  for (let round = 0; round < 5; round++) {
    await assert.rejects(broker.call('deep', 12_000), tooDeep('the handler’s result'));
  }
  assert.equal(levelsOf(await broker.call('deep', MOST)), MOST);
});

test('the bound applies to metadata of peers and details of connections', async (t) => {
  const name = freshName();
  assert.throws(() => new Broker(name, { metadata: BODY }), tooDeep('metadata'));
  const broker = join(t, name, { metadata: nested(MOST) });
  assert.equal(levelsOf(broker.peers()[0].metadata), MOST);

  const tracker = new ConnectionTracker(freshName(), { max: 2 });
  assert.throws(() => tracker.tryOpen('1.1.1.1', { detail: BODY }), tooDeep('detail'));
  const opened = tracker.tryOpen('1.1.1.1', { detail: nested(MOST) });
  assert.deepEqual([tracker.count, levelsOf(tracker.list()[0].detail)], [1, MOST]);
  opened.close();
});

test('spawn() rejects workerData that is nested too deeply and starts no thread', async (t) => {
  const { broker, name } = open(t);
  for (const kind of CLONED) {
    const workerData = { name, deep: nested(12_000, kind) };
    await assert.rejects(broker.spawn(FILE, { workerData }), tooDeep('spawn workerData.deep'));
  }
  assert.equal(threads, 0);
  const itself = { name };
  itself.itself = itself;
  const group = await broker.spawn(FILE, { workerData: { name, deep: nested(MOST - 1), itself } });
  assert.equal(group.workers.length, 1);
});

test('an object referenced many times is visited once', () => {
  const registry = new Registry(freshName());
  // As a tree it would have 2^100 leaves.
  let value = ['end'];
  for (let level = 1; level < 100; level++) value = [value, value];
  registry.set('wide', value);
  const read = registry.get('wide');
  assert.equal(read[0], read[1]);
  // `half` lies deeper at its second reference than at its first.
  const half = nested(200);
  const late = { first: half, second: nested(100) };
  let last = late.second;
  while (typeof last.inner === 'object') last = last.inner;
  last.inner = half;
  assert.throws(() => registry.set('late', late), tooDeep('value.second'));
});

test('a getter is read once, and the value that was checked is stored', () => {
  const registry = new Registry(freshName());
  let reads = 0;
  const lying = {
    get value() {
      reads += 1;
      return reads > 1 ? BODY : 'plain';
    },
  };
  registry.set('key', lying);
  assert.deepEqual([registry.get('key'), reads], [{ value: 'plain' }, 1]);
});
