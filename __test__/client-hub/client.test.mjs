// hub.client(): each thread builds one live object per key and version of the shared value.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import sluice from '../../index.js';
import { freshName, startPeers } from '../helpers/peer.mjs';
import { stopClock } from '../helpers/setup.mjs';

const { ClientHub } = sluice;
const clock = stopClock();

class Connection {
  isClosed = false;

  constructor({ url }) {
    this.url = url;
  }

  close() {
    assert.equal(this.isClosed, false, 'closed twice');
    this.isClosed = true;
  }
}

function setup(options) {
  const hub = new ClientHub(freshName());
  let made = 0;
  let revived = 0;
  const client = () =>
    hub.client('db', async () => ({ url: `db ${++made}` }), {
      revive: (data) => {
        revived += 1;
        return new Connection(data);
      },
      dispose: (connection) => connection.close(),
      ...options,
    });
  return { hub, client, counts: () => [made, revived] };
}

test('all clients of a key share one object, which is built once', async () => {
  const { hub, client, counts } = setup();
  const [a, b] = [client(), client()];
  assert.deepEqual([a.value, b.value], [undefined, undefined]);
  const [fromA, fromB] = await Promise.all([a.get(), b.get()]);
  assert.ok(fromA instanceof Connection && fromA.url === 'db 1');
  for (const other of [fromB, a.value, b.value, await a.get()]) assert.equal(other, fromA);
  const again = new ClientHub(hub.name).client('db', () => assert.fail('the value exists'), {
    revive: () => assert.fail(),
  });
  assert.equal(await again.get(), fromA);
  assert.deepEqual(counts(), [1, 1]);
});

test('a new version gets a new object; the old one is disposed of once', async () => {
  const { hub, client } = setup();
  const [a, b] = [client(), client()];
  const old = await a.get();
  assert.equal(await b.get(), old);
  hub.invalidate('db');
  assert.deepEqual([a.value, old.isClosed], [undefined, false]);
  const now = await b.get();
  assert.deepEqual([now.url, old.isClosed, now.isClosed], ['db 2', true, false]);
  assert.equal(await a.get(), now);
});

test('a stale object is returned until the value is refreshed; the next get() builds the new one', async () => {
  const { client, counts } = setup({ ttl: '1s', staleWhileRevalidate: '1s' });
  const it = client();
  const old = await it.get();
  clock.advance('1s');
  assert.equal(it.value, old);
  assert.equal(await it.get(), old);
  await turn();
  assert.deepEqual([it.value, old.isClosed, counts()], [undefined, false, [2, 1]]);
  const now = await it.get();
  assert.deepEqual([now.url, old.isClosed, it.value === now, counts()], ['db 2', true, true, [2, 2]]);
  clock.advance('2s');
  assert.equal(it.value, undefined);
});

test('without revive get() resolves with the value itself', async () => {
  const hub = new ClientHub(freshName());
  const client = hub.client('keys', async () => ({ kid: 'k1' }));
  assert.equal(client.value, undefined);
  const value = await client.get();
  assert.deepEqual([value, client.value === value, hub.get('keys') === value], [{ kid: 'k1' }, true, true]);
});

test('get() rejects with the error that revive throws; the next get() calls revive again', async () => {
  const error = new Error('no such driver');
  let fails = true;
  const { client, counts } = setup({
    revive: (data) => {
      if (fails) throw error;
      return new Connection(data);
    },
  });
  const it = client();
  for (let i = 0; i < 2; i++) await assert.rejects(it.get(), (thrown) => thrown === error);
  fails = false;
  assert.equal((await it.get()).url, 'db 1');
  assert.equal(counts()[0], 1);
});

test('each thread builds its own object of the same value', async (t) => {
  const { hub, client, counts } = setup();
  await client().get();
  const [peer] = startPeers(t, 1);
  const seen = await peer.run(async ({ load }, name) => {
    const hub = new (load().ClientHub)(name);
    const init = () => Promise.reject(new Error('the value exists'));
    const revive = ({ url }) => ({ url, isOwn: true });
    const [a, b] = [hub.client('db', init, { revive }), hub.client('db', init, { revive })];
    const live = await a.get();
    await b.get();
    return [live, a.value === b.value];
  }, hub.name);
  assert.deepEqual(
    [seen, counts()],
    [
      [{ url: 'db 1', isOwn: true }, true],
      [1, 1],
    ],
  );
});

test('get() rejects with the error that revive rejects with; the next get() calls revive again', async () => {
  const errors = [new Error('no route'), new Error('no login')];
  const { client, counts } = setup({
    revive: async (data) => {
      const error = errors.shift();
      if (error !== undefined) throw error;
      return new Connection(data);
    },
    dispose: async (connection) => (await connection).close(),
  });
  const it = client();
  for (const error of [...errors]) await assert.rejects(it.get(), (thrown) => thrown === error);
  const live = await it.get();
  assert.deepEqual([live.url, counts()[0]], ['db 1', 1]);
  assert.equal(await it.value, live);
});

test('each old object is disposed of once, also among many keys', async () => {
  const hub = new ClientHub(freshName());
  const disposed = [];
  const get = (key) =>
    hub
      .client(key, async () => ({ key }), {
        revive: ({ key }) => ({ key }),
        dispose: (object) => disposed.push(object),
      })
      .get();
  const objects = [];
  for (let i = 0; i < 200; i++) objects.push(await get(`key ${i}`));
  for (let i = 0; i < 200; i++) {
    hub.invalidate(`key ${i}`);
    await get(`key ${i}`);
    await get(`another ${i}`);
  }
  assert.deepEqual([disposed.length, new Set(disposed)], [200, new Set(objects)]);
});

test('objects of evicted keys are disposed of', async () => {
  const hub = new ClientHub(freshName(), { maxEntries: 10 });
  let open = 0;
  for (let i = 0; i < 1000; i++) {
    const revive = () => {
      open += 1;
      return {};
    };
    const dispose = () => {
      open -= 1;
    };
    await hub.client(`key ${i}`, async () => i, { revive, dispose }).get();
  }
  assert.ok(open <= 64, `${open} objects`);
});
