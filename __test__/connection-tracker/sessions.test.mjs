// Sessions: connections that the application opens and closes itself, for example one for each WebSocket.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import sluice from '../../index.js';
import { freshName, Peer, startPeers } from '../helpers/peer.mjs';
import { manualClock } from '../helpers/setup.mjs';
import { until } from '../helpers/sockets.mjs';

const { ConnectionTracker } = sluice;

const fresh = (options = {}) => new ConnectionTracker(freshName(), options);

/** A session, and how often its onClose was called. */
function openSession(tracker, options) {
  const onClose = { calls: 0 };
  const connection = tracker.tryOpen('192.0.2.1', {
    ...options,
    onClose: () => {
      onClose.calls += 1;
    },
  });
  return { connection, onClose };
}

/** Lets pending notifications of this thread arrive. */
async function nextTurns() {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('onClose is called once, whether the session, its tracker or another thread closes', async (t) => {
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
    const opened = openSession(tracker);
    assert.equal(await close(opened), true);
    assert.equal(tracker.count, 0, 'a closed session is not counted');
    await until(() => opened.onClose.calls, 1);
    assert.equal(opened.connection.close(), false);
    assert.equal(opened.connection.tryMessage(), false, 'a closed session admits no message');
    await nextTurns();
    assert.equal(opened.onClose.calls, 1);
  }
  const { opened, closed } = tracker.stats();
  assert.deepEqual([opened, closed], [3, 3]);
});

test('a reused id is a new session', async () => {
  const tracker = fresh();
  const first = openSession(tracker, { id: 'ada' });
  first.connection.close();
  const second = openSession(tracker, { id: 'ada' });
  await until(() => first.onClose.calls, 1);
  await nextTurns();
  assert.deepEqual([second.onClose.calls, tracker.count], [0, 1]);
  tracker.close('ada');
  await until(() => second.onClose.calls, 1);
});

test('closeIdle and idleTimeout call onClose', async (t) => {
  const clock = manualClock(t);
  const tracker = fresh();
  const [idle, busy] = [openSession(tracker), openSession(tracker)];
  clock.advance('1m');
  busy.connection.touch();
  assert.equal(tracker.closeIdle('1m'), 1);
  await until(() => idle.onClose.calls, 1);
  assert.deepEqual([tracker.count, busy.onClose.calls, tracker.stats().closed], [1, 0, 1]);

  const short = openSession(fresh({ idleTimeout: '10s' }));
  clock.advance('15s');
  await until(() => short.onClose.calls, 1);
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

test('the sessions of a thread close when it ends', async (t) => {
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

test('stats count admitted and refused calls for each limit, over all threads', async (t) => {
  const _clock = manualClock(t);
  const tracker = fresh({
    max: 6,
    maxPerClient: 2,
    opens: { limit: 3, window: '1m' },
    messages: { limit: 2, window: '1s' },
    bytes: { limit: 100, window: '1s' },
  });
  const peers = startPeers(t, 4);
  const openAndSend = ({ load, state }, [name, client]) => {
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
    sent.push(...(await peer.run(openAndSend, [tracker.name, `192.0.2.${n}`])));
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

  const closeTwice = ({ state }) => {
    for (const session of state.sessions) session.close();
    for (const session of state.sessions) session.close();
  };
  for (const peer of peers) await peer.run(closeTwice);
  assert.equal(tracker.count, 0, 'closing twice releases once');
  const fourth = ['192.0.2.0', '192.0.2.0', '192.0.2.0'].map((client) => tracker.tryOpen(client) !== null);
  assert.deepEqual(fourth, [true, false, false], 'two of the three opens per minute were used before');
  assert.equal(tracker.stats().refused.opens, 2);
});

test('an onClose that is not a function is rejected', () => {
  assert.throws(() => fresh().tryOpen('192.0.2.1', { onClose: true }), { code: 'ERR_SLUICE_INVALID_OPTION' });
});
