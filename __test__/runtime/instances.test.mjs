// Named instances: in every thread of the process a name refers to the same state.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { promisify } from 'node:util';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName, runInAll, startPeers } from '../helpers/peer.mjs';

const { CircuitBreaker, ConnectionTracker, RateLimiter, Registry } = sluice;

const attach = ({ load, state }, [kind, name, options]) => {
  state.instance = new (load()[kind])(name, options);
};

test('equal options attach in any thread, however they are written', async (t) => {
  const [peer] = startPeers(t, 1);
  const name = freshName();
  const limiter = new RateLimiter(name, { limit: 10, window: '10m' });
  limiter.tryConsume('client', 4);
  await peer.run(attach, ['RateLimiter', name, { window: 600_000, limit: 10, burst: 10, algorithm: 'gcra' }]);
  assert.equal(await peer.run(({ state }) => state.instance.peek('client').remaining), 6);
});

test('without options a limiter and a tracker attach to the existing instance', async (t) => {
  const [peer] = startPeers(t, 1);
  const name = freshName();
  new RateLimiter(name, { limit: 10, window: '1h' }).tryConsume('client');
  await peer.run(attach, ['RateLimiter', name]);
  assert.equal(await peer.run(({ state }) => state.instance.peek('client').remaining), 9);

  const tracker = new ConnectionTracker(name, { max: 1 });
  await peer.run(attach, ['ConnectionTracker', name]);
  assert.notEqual(tracker.tryOpen('192.0.2.1'), null);
  assert.equal(await peer.run(({ state }) => state.instance.tryOpen('192.0.2.1')), null);
});

for (const kind of ['RateLimiter', 'ConnectionTracker', 'CircuitBreaker']) {
  test(`attaching to a ${kind} that does not exist throws NOT_FOUND`, async (t) => {
    const [peer] = startPeers(t, 1);
    const notFound = {
      code: 'ERR_SLUICE_NOT_FOUND',
      message: /^\w+ "missing" does not exist; give options/,
    };
    assert.throws(() => new sluice[kind]('missing'), notFound);
    await assert.rejects(peer.run(attach, [kind, 'missing']), notFound);
  });
}

test('other options throw CONFIG_MISMATCH with the first that differs and both values', async (t) => {
  const [peer] = startPeers(t, 1);
  const name = freshName();
  const limiter = new RateLimiter(name, { limit: 10, window: '1m' });
  const differing = [
    [{ limit: 11, window: '1m' }, /limit = 10.*11/],
    [{ limit: 10, window: '2m' }, /window = 60000 ms.*120000 ms/],
    [{ limit: 10, window: '1m', burst: 5 }, /burst = 10.*5/],
    [{ limit: 10, window: '1m', maxKeys: 5 }, /maxKeys = 1000000.*5/],
    [{ limit: 10, window: '1m', overflow: 'deny' }, /overflow = "evict".*"deny"/],
    [{ limit: 10, window: '1m', dryRun: true }, /dryRun = false.*true/],
  ];
  for (const [options, message] of differing) {
    const mismatch = { name: 'SluiceError', code: 'ERR_SLUICE_CONFIG_MISMATCH', message };
    assert.throws(() => new RateLimiter(name, options), mismatch);
    await assert.rejects(peer.run(attach, ['RateLimiter', name, options]), mismatch);
  }
  assert.equal(limiter.peek('client').limit, 10);
});

test('the options of a tracker are compared too', () => {
  const name = freshName();
  const opens = { limit: 5, window: '1s' };
  new ConnectionTracker(name, { max: 10, opens });
  assert.ok(new ConnectionTracker(name, { opens: { window: 1000, limit: 5 }, max: 10, clients: 'ip' }));
  const differing = [
    [{ max: 11, opens }, /max = 10.*11/],
    [{ opens }, /max = 10.*none/],
    [{ max: 10, opens, maxPerClient: 1 }, /maxPerClient = none.*1/],
    [{ max: 10, opens, clients: 'opaque' }, /clients = "ip".*"opaque"/],
    [{ max: 10, opens, ipv6Prefix: 56 }, /ipv6Prefix = 64.*56/],
    [{ max: 10, opens: { limit: 6, window: '1s' } }, /opens = 5 per 1000 ms.*6 per 1000 ms/],
    [{ max: 10, opens, idleTimeout: '5s' }, /idleTimeout = none.*5000 ms/],
  ];
  for (const [options, message] of differing) {
    assert.throws(() => new ConnectionTracker(name, options), {
      code: 'ERR_SLUICE_CONFIG_MISMATCH',
      message,
    });
  }
});

test('after destroy() every thread gets CLOSED, and the name is free', async (t) => {
  const peers = startPeers(t, 2);
  const creations = {
    RateLimiter: { limit: 1, window: '1h' },
    ConnectionTracker: { max: 1 },
    Registry: undefined,
  };
  for (const [kind, options] of Object.entries(creations)) {
    const name = freshName();
    await runInAll(peers, attach, [kind, name, options]);
    assert.equal(sluice[kind].destroy(name), true);
    assert.equal(sluice[kind].destroy(name), false);
    const use = ({ state }) => {
      const { instance } = state;
      if ('tryConsume' in instance) return instance.tryConsume('client');
      return 'tryOpen' in instance ? instance.tryOpen('192.0.2.1') : instance.get('key');
    };
    const closed = {
      name: 'SluiceError',
      code: 'ERR_SLUICE_CLOSED',
      message: new RegExp(`^"${name}" was destroyed`),
    };
    for (const peer of peers) await assert.rejects(peer.run(use), closed);
    assert.ok(
      new sluice[kind](
        name,
        kind === 'Registry' ? undefined : { ...options, ...(options.max && { max: 2 }) },
      ),
    );
    for (const peer of peers) await assert.rejects(peer.run(use), closed, 'the old instance stays closed');
  }
});

test('every method of a destroyed instance throws CLOSED', () => {
  const name = freshName();
  const limiter = new RateLimiter(name, { limit: 1, window: '1h' });
  const tracker = new ConnectionTracker(name, { max: 1 });
  const registry = new Registry(name);
  const handle = limiter.handle('client');
  for (const kind of [RateLimiter, ConnectionTracker, Registry]) kind.destroy(name);
  const calls = [
    () => limiter.consume('c'),
    () => limiter.consumeMany(['c']),
    () => limiter.peek('c'),
    () => limiter.refund('c'),
    () => limiter.penalize('c'),
    () => limiter.block('c', '1s'),
    () => limiter.reset('c'),
    () => limiter.reconfigure({ limit: 2 }),
    () => limiter.clear(),
    () => limiter.stats(),
    () => limiter.size,
    () => handle.tryConsume(),
    () => handle.consume(),
    () => handle.peek(),
    () => tracker.count,
    () => tracker.countFor('192.0.2.1'),
    () => tracker.get('id'),
    () => tracker.close('id'),
    () => tracker.list(),
    () => tracker.closeIdle(),
    () => tracker.stats(),
    () => registry.set('k', 1),
    () => registry.setIfAbsent('k', 1),
    () => registry.update('k', () => 1),
    () => registry.delete('k'),
    () => registry.has('k'),
    () => registry.getOrThrow('k'),
    () => registry.keys(),
    () => registry.entries(),
    () => registry.size,
    () => registry.version,
    () => registry.snapshot(),
    () => registry.replaceAll([]),
    () => registry.on('change', () => {}),
  ];
  for (const call of calls) assert.throws(call, { code: 'ERR_SLUICE_CLOSED' }, String(call));
});

test('asynchronous methods of a destroyed instance reject with CLOSED', async () => {
  const name = freshName();
  const limiter = new RateLimiter(name, { limit: 1, window: '1h' });
  const tracker = new ConnectionTracker(name, { max: 1 });
  for (const kind of [RateLimiter, ConnectionTracker]) kind.destroy(name);
  await assert.rejects(limiter.consumeAsync('c'), { code: 'ERR_SLUICE_CLOSED' });
  await assert.rejects(tracker.drain(), { code: 'ERR_SLUICE_CLOSED' });
});

test('reconfigure() applies to all threads; the options of creation still attach', async (t) => {
  const [peer] = startPeers(t, 1);
  const name = freshName();
  const limiter = new RateLimiter(name, { limit: 10, window: '1m' });
  limiter.reconfigure({ limit: 20 });
  await peer.run(attach, ['RateLimiter', name, { limit: 10, window: '1m' }]);
  assert.equal(await peer.run(({ state }) => state.instance.peek('client').limit), 20);
  await assert.rejects(peer.run(attach, ['RateLimiter', name, { limit: 20, window: '1m' }]), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
  });
});

test('instances of different classes can share a name', () => {
  const name = freshName();
  assert.ok(new RateLimiter(name, { limit: 1, window: 1 }));
  assert.ok(new ConnectionTracker(name, {}));
  assert.ok(new CircuitBreaker(name, { openFor: 1 }));
  assert.ok(new Registry(name));
});

test('a name is a non-empty string of at most 128 characters', () => {
  const most = freshName().padEnd(128, 'x');
  const options = {
    RateLimiter: { limit: 1, window: 1 },
    ConnectionTracker: {},
    CircuitBreaker: { openFor: 1 },
    Registry: undefined,
  };
  for (const kind of Object.keys(options)) {
    assert.equal(new sluice[kind](most, options[kind]).name, most);
    for (const name of ['', `${most}x`, 7, undefined, null, {}, 'lone \ud800']) {
      const invalid = {
        name: 'SluiceError',
        code: 'ERR_SLUICE_INVALID_NAME',
        message: new RegExp(`^${kind} name is `),
      };
      assert.throws(() => new sluice[kind](name, options[kind]), invalid);
      assert.throws(() => sluice[kind].destroy(name), invalid);
    }
  }
});

test('all threads share the test clock', async (t) => {
  const [peer] = startPeers(t, 1);
  const name = freshName();
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  clock.set(Date.UTC(2030, 0, 1));
  const limiter = new RateLimiter(name, { limit: 1, window: '30d' });
  assert.equal(limiter.tryConsume('client'), true);
  await peer.run(attach, ['RateLimiter', name]);
  const consume = ({ state }) => state.instance.consume('client');
  assert.equal((await peer.run(consume)).retryAfterMs, 30 * 86_400_000);
  clock.advance('29d');
  assert.equal((await peer.run(consume)).retryAfterMs, 86_400_000);
  await peer.run(({ require }) => require('../../lib/testing.js').manualClock().advance('1d'));
  assert.equal(clock.now, Date.UTC(2030, 0, 31));
  assert.equal(limiter.tryConsume('client'), true);
});

test('state survives when only workers load the addon and all of them end', async () => {
  // In a new process, whose main thread never loads the addon.
  const script = `
    import { Peer } from ${JSON.stringify(new URL('../helpers/peer.mjs', import.meta.url).href)};
    const work = ({ load }) => {
      const { ConnectionTracker, RateLimiter, Registry } = load();
      const limiter = new RateLimiter('r', { limit: 10, window: '1h' });
      limiter.tryConsume('client');
      const registry = new Registry('r');
      registry.update('visits', (visits = 0) => visits + 1);
      const tracker = new ConnectionTracker('r', {});
      tracker.tryOpen('192.0.2.1');
      return [limiter.stats().allowed, registry.get('visits'), tracker.count, tracker.stats().opened];
    };
    const seen = [];
    for (let i = 0; i < 4; i++) {
      const peer = new Peer();
      seen.push(await peer.run(work));
      await peer.end();
    }
    console.log(JSON.stringify(seen));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  assert.deepEqual(JSON.parse(stdout), [
    [1, 1, 1, 1],
    [2, 2, 1, 2],
    [3, 3, 1, 3],
    [4, 4, 1, 4],
  ]);
});
