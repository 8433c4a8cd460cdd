// biome-ignore-all lint/suspicious/noThenProperty: thenables are what is tested
// What handlers and listeners may do: return any thenable, throw any value, close or destroy their own broker.
import assert from 'node:assert/strict';
import test from 'node:test';
import v8 from 'node:v8';
import sluice from '../../index.js';
import { join, outcomes, shared, until } from '../helpers/broker.mjs';
import { freshName, startPeers } from '../helpers/peer.mjs';

const { Broker } = sluice;
const code = (name) => ({ name: 'SluiceError', code: `ERR_SLUICE_${name}` });

const THENABLES = {
  'a getter that throws': {
    make: () => ({
      get then() {
        throw new Error('no then');
      },
    }),
    rejects: 'no then',
  },
  'a method that throws': {
    make: () => ({
      then() {
        throw new Error('then threw');
      },
    }),
    rejects: 'then threw',
  },
  'a promise whose own then throws': {
    make: () =>
      Object.assign(Promise.resolve(1), {
        then() {
          throw new Error('own then');
        },
      }),
    rejects: 'own then',
  },
  'an object with the prototype of a promise': {
    make: () => Object.create(Promise.prototype),
    rejects: /incompatible/,
  },
  'a method that resolves, rejects and throws synchronously': {
    make: () => ({
      then(resolve, reject) {
        resolve('first');
        reject(new Error('second'));
        throw new Error('third');
      },
    }),
    resolves: 'first',
  },
};

test('every kind of thenable settles its call once; concurrent calls are not affected', async (t) => {
  const broker = join(t);
  for (const [endpoint, { make }] of Object.entries(THENABLES)) broker.handle(endpoint, make);
  broker.handle('plain', () => 'plain');
  for (const [endpoint, { resolves, rejects }] of Object.entries(THENABLES)) {
    const [call, beside] = [broker.call(endpoint), broker.call('plain')];
    if (rejects === undefined) assert.equal(await call, resolves, endpoint);
    else await assert.rejects(call, { message: rejects }, endpoint);
    assert.equal(await beside, 'plain', endpoint);
  }
  await until(() => broker.stats().inFlight === 0);
  assert.equal(broker.stats().running, 0);
});

test('a thrown object whose getter changes with each read rejects the call', async (t) => {
  const broker = join(t);
  broker.handle('throw', (calm) => {
    let reads = 0;
    throw {
      get value() {
        reads += 1;
        return reads > calm ? () => reads : reads;
      },
    };
  });
  const thrown = await outcomes([0, 1, 2, 3, 4, 5].map((calm) => broker.call('throw', calm)));
  assert.deepEqual(thrown, Array(6).fill('Error'));
});

const ENDS = {
  'destroys the broker': (broker) => Broker.destroy(broker.name),
  'closes the broker without waiting': (broker) => void broker.close({ timeout: 0 }),
};

for (const [what, end] of Object.entries(ENDS)) {
  test(`a handler that ${what} leaves its call CLOSED, and may join the broker again`, async (t) => {
    const broker = join(t);
    let again;
    let signal;
    broker.handle('at once', (_payload, request) => {
      end(broker);
      ({ signal } = request);
      again = join(t, broker.name);
      again.handle('new', () => 'new');
      return 'dropped';
    });
    await assert.rejects(broker.call('at once'), code('CLOSED'));
    assert.equal(await again.call('new'), 'new');
    await until(() => again.stats().inFlight === 0);
    assert.deepEqual([again.peers().length, again.stats().waiting], [1, 0]);
    assert.equal(signal.aborted, false, 'a synchronous handler is not aborted');
  });

  test(`an asynchronous handler that ${what} is aborted by its signal`, async (t) => {
    const broker = join(t);
    const ended = new Promise((resolve) => {
      broker.handle('later', async (_payload, { signal }) => {
        end(broker);
        await null;
        resolve(signal.reason?.code);
        throw new Error('dropped');
      });
    });
    await assert.rejects(broker.call('later'), code('CLOSED'));
    assert.equal(await ended, 'ERR_SLUICE_CLOSED');
    await assert.rejects(broker.call('later'), code('CLOSED'));
  });
}

test('a listener that closes the broker still receives messages sent before', async (t) => {
  const { broker, peers } = await shared(t, 1);
  const received = [];
  let closed;
  broker.on('message', (payload) => {
    received.push(payload);
    closed ??= broker.close();
  });
  await peers[0].run(({ state }) => {
    for (let i = 0; i < 5; i++) state.broker.send('main', i);
  });
  await until(() => closed !== undefined);
  await closed;
  assert.deepEqual(received, [0, 1, 2, 3, 4]);
});

test('a call rejects with CLOSED if a getter of its payload destroys the broker', async (t) => {
  const broker = join(t);
  broker.handle('echo', (payload) => payload);
  const ending = {
    get last() {
      Broker.destroy(broker.name);
      return 1;
    },
  };
  await assert.rejects(broker.call('echo', ending), code('CLOSED'));
});

test('the same function can be added with once() and with on()', async (t) => {
  const broker = join(t);
  let received = 0;
  const listener = () => {
    received += 1;
  };
  broker.once('message', listener).on('message', listener);
  for (const expected of [2, 3, 4]) {
    broker.send(broker.id, 'x');
    await until(() => received >= expected);
    assert.equal(received, expected);
  }
});

test('peers that leave before they are answered leak nothing', async (t) => {
  const broker = join(t, freshName(), { id: 'main' });
  const open = [];
  broker.handle('late', () => new Promise((resolve) => open.push(resolve)));
  const [peer] = startPeers(t, 1);
  /** Peers join, call and leave one after the other; then the handler answers all of them, too late. */
  const joinCallLeave = async (times) => {
    await peer.run(
      async ({ load }, { name, times }) => {
        for (let i = 0; i < times; i++) {
          const asking = new (load().Broker)(name);
          asking.call('late').catch(() => {});
          while (asking.stats().inFlight === i) await new Promise(setImmediate);
          await asking.close({ timeout: 0 });
        }
      },
      { name: broker.name, times },
    );
    await until(() => broker.stats().running === times && broker.peers().length === 1);
    for (const resolve of open.splice(0)) resolve({ too: 'late' });
    await until(() => broker.stats().inFlight === 0);
  };
  // The sender keeps one Float64Array per receiver.
  await joinCallLeave(1);
  const before = v8.queryObjects(Float64Array);
  await joinCallLeave(50);
  const more = v8.queryObjects(Float64Array) - before;
  assert.ok(more < 10, `${more} for 50 peers`);
});
