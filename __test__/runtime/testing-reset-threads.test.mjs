// reset() of sluice/testing: its scope. It applies to all threads and all copies of the package, but not in production.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName, startPeers } from '../helpers/peer.mjs';

const { Broker, Lifecycle, RateLimiter, Registry } = sluice;
const { reset } = testing;

const closed = { code: 'ERR_SLUICE_CLOSED' };

test('reset() clears counts and values, rejects pending calls and frees options in all threads', {
  timeout: 30_000,
}, async (t) => {
  const name = freshName();
  const limiter = new RateLimiter(name, { limit: 10, window: '1h' });
  const peers = await startPeers(t, 3);
  const begin = ({ load, state }, name) => {
    const { RateLimiter, Registry, ClientHub, Lifecycle, Broker, Semaphore } = load();
    state.limiter = new RateLimiter(name);
    state.registry = new Registry(name);
    state.hub = new ClientHub(name);
    state.lifecycle = new Lifecycle(name);
    state.broker = new Broker(name);
    const semaphore = new Semaphore(name, { permits: 1 });
    semaphore.tryAcquire();
    state.limiter.consume('a', 3);
    state.registry.set(`by ${state.broker.id}`, 1);
    const code = (promise) =>
      promise.then(
        () => 'resolved',
        (error) => error.code,
      );
    state.waits = [
      code(state.hub.getOrInit('key', () => new Promise(() => {}))),
      code(state.broker.call('stuck', null)),
      code(state.lifecycle.shutdown({ delay: '1h' })),
      code(semaphore.acquire()),
    ];
    return state.registry.size;
  };
  const broker = new Broker(name);
  t.after(() => broker.close({ timeout: 0 }));
  let received = 0;
  broker.handle('stuck', () => {
    received += 1;
    return new Promise(() => {});
  });
  for (const peer of peers) await peer.run(begin, name);
  assert.deepEqual([limiter.peek('a').remaining, new Registry(name).size], [1, 3]);
  while (received < 3) await new Promise(setImmediate);
  reset();
  for (const peer of peers) {
    const [waits, remaining, size, state] = await peer.run(
      async ({ state }) => [
        await Promise.all(state.waits),
        state.limiter.peek('a').remaining,
        state.registry.size,
        state.lifecycle.state,
      ],
      name,
    );
    assert.deepEqual(waits, Array(4).fill('ERR_SLUICE_CLOSED'));
    assert.deepEqual([remaining, size, state], [10, 0, 'starting']);
  }
  new RateLimiter(name, {
    limits: [
      { name: 'own', limit: 4, window: '1h' },
      { limit: 9, window: '1d' },
    ],
  });
  const policies = await Promise.all(
    peers.map((peer) => peer.run(({ state }) => state.limiter.consume('a').policy)),
  );
  assert.deepEqual(policies, ['own', 'own', 'own']);
  assert.equal(limiter.peek('a').remaining, 1);
});

test('a call made right after reset() is answered, in every thread', { timeout: 30_000 }, async (t) => {
  const name = freshName();
  const [peer] = await startPeers(t, 1);
  const broker = new Broker(name);
  t.after(() => broker.close({ timeout: 0 }));
  broker.handle('echo', (payload) => payload);
  await peer.run(({ load, state }, name) => {
    state.broker = new (load().Broker)(name);
    state.hub = new (load().ClientHub)(name);
  }, name);
  for (let round = 0; round < 50; round++) {
    reset();
    const answers = await peer.run(
      async ({ state }, round) => [
        await state.broker.call('echo', round),
        await state.hub.getOrInit('key', async () => round),
      ],
      round,
    );
    assert.deepEqual(answers, [round, round]);
  }
});

test('under NODE_ENV=production reset() throws and clears nothing', (t) => {
  const before = process.env.NODE_ENV;
  t.after(() => {
    if (before === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = before;
  });
  const registry = new Registry(freshName());
  registry.set('key', 1);
  process.env.NODE_ENV = 'production';
  assert.throws(reset, {
    name: 'SluiceError',
    code: 'ERR_SLUICE_UNSUPPORTED',
    message: /NODE_ENV is "production"/,
  });
  assert.equal(registry.get('key'), 1);
});

test('destroyed instances stay destroyed', () => {
  const limiter = new RateLimiter(freshName(), { limit: 1, window: '1h' });
  RateLimiter.destroy(limiter.name);
  reset();
  assert.throws(() => limiter.tryConsume('a'), closed);
  const lifecycle = new Lifecycle(freshName());
  Lifecycle.destroy(lifecycle.name);
  reset();
  assert.throws(() => lifecycle.state, closed);
});

/** Loads another copy of the package, as test runners do for each file; `withAddon` loads the addon again too. */
function copyOfPackage({ withAddon }) {
  const require = createRequire(import.meta.url);
  const root = path.dirname(require.resolve('../../package.json')) + path.sep;
  for (const file of Object.keys(require.cache)) {
    const isOfPackage = file.startsWith(root) && !file.includes('node_modules');
    if (isOfPackage && (withAddon || !file.endsWith('.node'))) delete require.cache[file];
  }
  return { ...require('../../index.js'), ...require('../../lib/testing.js') };
}

for (const [what, how] of [
  ['each with its own load of the addon', { withAddon: true }],
  ['all with the same addon', { withAddon: false }],
]) {
  test(`reset() works with copies of the package that a runner leaves behind, ${what}`, {
    timeout: 20_000,
  }, async () => {
    const name = freshName();
    const listeners = process.listenerCount('worker');
    for (let file = 0; file < 3; file++) {
      const copy = copyOfPackage(how);
      const keys = [];
      const registry = new copy.Registry(name).on('change', ({ key }) => keys.push(key));
      const broker = new copy.Broker(name);
      broker.handle('echo', (payload) => payload);
      const lifecycle = new copy.Lifecycle(name);
      for (let round = 0; round < 2; round++) {
        copy.reset();
        registry.set(`${file} ${round}`, 1);
        assert.equal(await broker.call('echo', round), round);
        assert.equal(broker.peers().length, 1);
        // A participant left by an earlier copy would never report.
        const { drained, perThread } = await lifecycle.shutdown({ timeout: '10m' });
        assert.deepEqual([drained, Object.keys(perThread).length], [true, 1]);
      }
      assert.deepEqual(keys, [`${file} 0`, `${file} 1`]);
      // The resets ended the participants of the earlier copies.
      if (file === 2) await broker.close();
    }
    assert.equal(process.listenerCount('worker'), listeners);
  });
}
