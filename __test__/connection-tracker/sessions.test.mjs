// Sessions: connections that stand for something of the application's own, a WebSocket say, and end with it.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName, Peer, startPeers } from '../helpers/peer.mjs';
import { until } from '../helpers/sockets.mjs';

const { ConnectionTracker } = sluice;

const fresh = (options = {}) => new ConnectionTracker(freshName(), options);

/** A session, and how often it was told that it was closed. */
function session(tracker, options) {
  const told = { times: 0 };
  const connection = tracker.tryOpen('192.0.2.1', {
    ...options,
    onClose: () => {
      told.times += 1;
    },
  });
  return { connection, told };
}

/** What was left for this thread has been delivered after a few turns. */
async function turns() {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('onClose is told once, whoever closes: the session, its tracker, another thread', async (t) => {
  const [peer] = startPeers(t, 1);
  const tracker = fresh();
  const closers = {
    itself: ({ connection }) => connection.close(),
    tracker: ({ connection }) => tracker.close(connection.id),
    thread: ({ connection }) => {
      const close = ({ load }, [name, id]) => new (load().ConnectionTracker)(name).close(id);
      return peer.run(close, [tracker.name, connection.id]);
    },
  };
  for (const close of Object.values(closers)) {
    const opened = session(tracker);
    assert.equal(await close(opened), true);
    assert.equal(tracker.count, 0, 'it counts no longer at once');
    await until(() => opened.told.times, 1);
    assert.equal(opened.connection.close(), false);
    assert.equal(opened.connection.tryMessage(), false, 'it sends nothing more');
    await turns();
    assert.equal(opened.told.times, 1);
  }
  const { opened, closed } = tracker.stats();
  assert.deepEqual([opened, closed], [3, 3]);
});

test('an id that is used again is another session', async () => {
  const tracker = fresh();
  const first = session(tracker, { id: 'ada' });
  first.connection.close();
  const second = session(tracker, { id: 'ada' });
  await until(() => first.told.times, 1);
  await turns();
  assert.deepEqual([second.told.times, tracker.count], [0, 1]);
  tracker.close('ada');
  await until(() => second.told.times, 1);
});

test('closeIdle and idleTimeout tell it too', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const tracker = fresh();
  const [idle, busy] = [session(tracker), session(tracker)];
  clock.advance('1m');
  busy.connection.touch();
  assert.equal(tracker.closeIdle('1m'), 1);
  await until(() => idle.told.times, 1);
  assert.deepEqual([tracker.count, busy.told.times, tracker.stats().closed], [1, 0, 1]);

  const short = session(fresh({ idleTimeout: '10s' }));
  clock.advance('15s');
  await until(() => short.told.times, 1);
});

test('onClose runs in the context of tryOpen', async () => {
  const storage = new AsyncLocalStorage();
  const tracker = fresh();
  let seen;
  const connection = storage.run('mine', () =>
    tracker.tryOpen('192.0.2.1', {
      onClose: () => {
        seen = storage.getStore();
      },
    }),
  );
  connection.close();
  await until(() => seen, 'mine');
});

test('a thread that ends is not waited for, and its sessions are gone', async (t) => {
  const tracker = fresh({ max: 2 });
  const peer = new Peer();
  t.after(() => peer.end());
  const open = ({ load }, name) => {
    const tracker = new (load().ConnectionTracker)(name);
    return [1, 2, 3].map(() => tracker.tryOpen('192.0.2.1', { onClose: () => {} }) !== null);
  };
  assert.deepEqual(await peer.run(open, tracker.name), [true, true, false]);
  await peer.end();
  await until(() => tracker.count, 0);
  const { opened, closed, refused } = tracker.stats();
  assert.deepEqual([opened, closed, refused.max], [2, 2, 1]);
});

test('what is allowed and refused is counted for each limit, over all threads', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const tracker = fresh({
    max: 6,
    maxPerClient: 2,
    opens: { limit: 3, window: '1m' },
    messages: { limit: 2, window: '1s' },
    bytes: { limit: 100, window: '1s' },
  });
  const peers = startPeers(t, 4);
  const play = ({ load, state }, [name, client]) => {
    const tracker = new (load().ConnectionTracker)(name);
    state.sessions = [1, 2, 3].map(() => tracker.tryOpen(client)).filter((session) => session !== null);
    return state.sessions.map((session) => [
      session.tryMessage(60),
      session.tryMessage(60),
      session.tryMessage(10),
    ]);
  };
  const sent = [];
  for (const [n, peer] of peers.entries())
    sent.push(...(await peer.run(play, [tracker.name, `192.0.2.${n}`])));
  assert.deepEqual(new Set(sent.map(String)), new Set(['true,false,true']));
  const { count, opened, refused, messages, bytes } = tracker.stats();
  assert.deepEqual([count, opened], [6, 6]);
  assert.deepEqual(refused, { max: 3, maxPerClient: 3, opens: 0, banned: 0 });
  assert.deepEqual(
    [messages, bytes],
    [
      { allowed: 12, refused: 6 },
      { allowed: 420, refused: 360 },
    ],
  );

  const reopen = ({ state }) => {
    for (const session of state.sessions) session.close();
    for (const session of state.sessions) session.close();
  };
  for (const peer of peers) await peer.run(reopen);
  assert.equal(tracker.count, 0, 'closed twice, it is not below zero');
  const fourth = ['192.0.2.0', '192.0.2.0', '192.0.2.0'].map((client) => tracker.tryOpen(client) !== null);
  assert.deepEqual(fourth, [true, false, false], 'three openings in a minute, of which two were before');
  assert.equal(tracker.stats().refused.opens, 2);
});

test('an onClose that is no function is a mistake', () => {
  assert.throws(() => fresh().tryOpen('192.0.2.1', { onClose: true }), { code: 'ERR_SLUICE_INVALID_OPTION' });
});
