// Listeners and callbacks of the user that throw: the error is rethrown as an uncaught exception. Rows of
// docs/user-functions.md.
import assert from 'node:assert/strict';
import test from 'node:test';
import { freshName, startPeers } from '../helpers/peer.mjs';

/** Runs `body` in a thread. Returns its result and the messages of the errors that reached `uncaughtException` there. */
async function uncaughtIn(t, body, data) {
  const [peer] = startPeers(t, 1);
  await peer.run(({ state }) => {
    state.uncaught = [];
    process.on('uncaughtException', ({ message }) => state.uncaught.push(message));
  });
  const result = await peer.run(body, data);
  const uncaught = await peer.run(async ({ state }) => {
    for (let i = 0; i < 200 && state.uncaught.length === 0; i++) await new Promise((r) => setTimeout(r, 5));
    return state.uncaught;
  });
  return { result, uncaught };
}

test('dispose: get() resolves with the new object; the error is rethrown', async (t) => {
  const { result, uncaught } = await uncaughtIn(
    t,
    async ({ load }, name) => {
      const hub = new (load().ClientHub)(name);
      let made = 0;
      const client = hub.client('key', () => ++made, {
        revive: (value) => ({ value }),
        dispose: ({ value }) => {
          throw new Error(`disposing of ${value}`);
        },
      });
      await client.get();
      hub.invalidate('key');
      return (await client.get()).value;
    },
    freshName(),
  );
  assert.deepEqual({ result, uncaught }, { result: 2, uncaught: ['disposing of 1'] });
});

test('onClose: the connection is closed and no longer counted; the error is rethrown', async (t) => {
  const { result, uncaught } = await uncaughtIn(
    t,
    async ({ load }, name) => {
      const tracker = new (load().ConnectionTracker)(name, { max: 2, clients: 'opaque' });
      const closed = [];
      const failing = () => {
        throw new Error('closing');
      };
      tracker.tryOpen('a', { id: 'a', onClose: failing });
      tracker.tryOpen('b', { id: 'b', onClose: () => closed.push('b') });
      tracker.close('a');
      tracker.close('b');
      while (closed.length === 0) await new Promise(setImmediate);
      return [tracker.count, closed];
    },
    freshName(),
  );
  assert.deepEqual({ result, uncaught }, { result: [0, ['b']], uncaught: ['closing'] });
});

/** Run in a thread: each makes an emitter and a function that makes it emit once. */
const EMITTERS = {
  Registry: ({ load }, name) => {
    const registry = new (load().Registry)(name);
    return { emitter: registry, event: 'change', emit: () => registry.set('key', 1) };
  },
  CircuitBreaker: ({ load }, name) => {
    const breaker = new (load().CircuitBreaker)(name, { openFor: '1h' });
    return { emitter: breaker, event: 'open', emit: () => breaker.isolate('db') };
  },
  SecurityMonitor: ({ load }, name) => {
    const rules = [{ event: 'probe', count: 1, window: '1m', action: 'alert' }];
    const monitor = new (load().SecurityMonitor)(name, { rules });
    return { emitter: monitor, event: 'alert', emit: () => monitor.record('probe', '192.0.2.1') };
  },
  Lifecycle: ({ load }, name) => {
    const lifecycle = new (load().Lifecycle)(name);
    return { emitter: lifecycle, event: 'change', emit: () => lifecycle.ready() };
  },
  Broker: ({ load }, name) => {
    const broker = new (load().Broker)(name, { id: 'me' });
    return { emitter: broker, event: 'message', emit: () => broker.send('me', 'hello') };
  },
};

for (const [component, make] of Object.entries(EMITTERS)) {
  test(`a listener of a ${component}: the other listeners are called; the error is rethrown`, async (t) => {
    const { result, uncaught } = await uncaughtIn(
      t,
      async (local, { make, name }) => {
        const { emitter, event, emit } = local.require('node:vm').runInThisContext(`(${make})`)(local, name);
        const called = [];
        emitter.on(event, () => {
          called.push('first');
          throw new Error('listening');
        });
        emitter.on(event, () => called.push('second'));
        emit();
        while (called.length < 2) await new Promise(setImmediate);
        return called;
      },
      { make: String(make), name: freshName() },
    );
    assert.deepEqual({ result, uncaught }, { result: ['first', 'second'], uncaught: ['listening'] });
  });
}

test('a listener of a worker group: the other listeners are called; the error is rethrown', async (t) => {
  const { result, uncaught } = await uncaughtIn(
    t,
    async ({ load }, { name, index }) => {
      const broker = new (load().Broker)(name);
      const code = `const { Broker } = require(${JSON.stringify(index)});
        new Broker(${JSON.stringify(name)}).handle('end', () => setImmediate(() => process.exit(3)));`;
      const group = await broker.spawn(code, { eval: true, count: 1, restart: false });
      const called = [];
      group.on('exit', () => {
        called.push('first');
        throw new Error('listening');
      });
      group.on('exit', () => called.push('second'));
      await broker.call('end').catch(() => {});
      while (called.length < 2) await new Promise(setImmediate);
      await group.close();
      await broker.close();
      return called;
    },
    { name: freshName(), index: new URL('../../index.js', import.meta.url).pathname },
  );
  assert.deepEqual({ result, uncaught }, { result: ['first', 'second'], uncaught: ['listening'] });
});

test('an abort listener of fire() or of an initialiser: the error is rethrown, as of any AbortSignal', async (t) => {
  const { result, uncaught } = await uncaughtIn(
    t,
    async ({ load }, name) => {
      const { CircuitBreaker, ClientHub } = load();
      const failing = (what) => (signal) => {
        signal.addEventListener('abort', () => {
          throw new Error(what);
        });
        return new Promise(() => {});
      };
      const breaker = new CircuitBreaker(name, { openFor: '1h' });
      const hub = new ClientHub(name);
      const controller = new AbortController();
      const { signal } = controller;
      const calls = [
        breaker.fire('db', failing('of fire'), { signal }),
        hub.getOrInit('key', failing('of init'), { signal }),
      ];
      controller.abort();
      const settled = await Promise.allSettled(calls);
      // Errors of abort listeners are rethrown before the next turn of the event loop.
      await new Promise(setImmediate);
      return settled.map(({ reason }) => reason === signal.reason);
    },
    freshName(),
  );
  assert.deepEqual(
    { result, uncaught: uncaught.sort() },
    { result: [true, true], uncaught: ['of fire', 'of init'] },
  );
});
