// ConnectionTracker: opening, limits, quotas, finding and closing connections, and drain.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName, startPeers } from '../helpers/peer.mjs';
import { until } from '../helpers/sockets.mjs';

const { ConnectionTracker } = sluice;

const clock = testing.manualClock();
test.after(() => clock.restore());

const fresh = (options) => new ConnectionTracker(freshName(), options);

test('max and maxPerClient bound the open connections', () => {
  const tracker = fresh({ max: 3, maxPerClient: 2 });
  const first = tracker.tryOpen('192.0.2.1');
  assert.notEqual(tracker.tryOpen('192.0.2.1'), null);
  assert.equal(tracker.tryOpen('192.0.2.1'), null);
  assert.notEqual(tracker.tryOpen('192.0.2.2'), null);
  assert.equal(tracker.tryOpen('192.0.2.3'), null);
  assert.deepEqual([tracker.count, tracker.countFor('192.0.2.1'), tracker.countFor('192.0.2.3')], [3, 2, 0]);
  first.close();
  assert.notEqual(tracker.tryOpen('192.0.2.3'), null);
  const { count, opened, closed, refused } = tracker.stats();
  assert.deepEqual(
    { count, opened, closed, refused },
    {
      count: 3,
      opened: 4,
      closed: 1,
      refused: { max: 1, maxPerClient: 1, opens: 0, banned: 0 },
    },
  );
});

test('without limits every connection opens and is counted', () => {
  const tracker = fresh({});
  for (let i = 0; i < 1000; i++) assert.notEqual(tracker.tryOpen('192.0.2.1'), null);
  assert.deepEqual([tracker.count, tracker.countFor('192.0.2.1')], [1000, 1000]);
});

test('a client is one IPv6 prefix, or one IPv4 address in any notation', () => {
  const tracker = fresh({ maxPerClient: 2 });
  assert.equal(tracker.tryOpen('::ffff:192.0.2.1').client, '192.0.2.1');
  assert.equal(tracker.tryOpen('192.0.2.1:443').client, '192.0.2.1');
  assert.equal(tracker.tryOpen('64:ff9b::192.0.2.1'), null);
  assert.equal(tracker.tryOpen('2001:db8:1:2::3').client, '2001:db8:1:2::');
  assert.equal(tracker.countFor('[2001:db8:1:2:ffff::9]:80'), 1);
  assert.equal(tracker.countFor('2001:db8:1:3::'), 0);
  const wide = fresh({ maxPerClient: 1, ipv6Prefix: 48 });
  wide.tryOpen('2001:db8:1:2::3');
  assert.equal(wide.tryOpen('2001:db8:1:ffff::'), null);
});

test('with clients: opaque a client is any text', () => {
  const tracker = fresh({ maxPerClient: 1, clients: 'opaque' });
  for (const client of ['user 1', '2001:db8::1', '2001:db8::2', 'x'.repeat(5000)]) {
    assert.equal(tracker.tryOpen(client).client, client);
    assert.equal(tracker.tryOpen(client), null);
  }
});

test('a connection has its id, openedAt and detail', () => {
  clock.set(Date.UTC(2030, 5, 1));
  const tracker = fresh({});
  const connection = tracker.tryOpen('192.0.2.1', { id: 'session 1', detail: { room: 'a' } });
  assert.equal(connection.id, 'session 1');
  assert.equal(connection.openedAt, Date.UTC(2030, 5, 1));
  assert.deepEqual(connection.detail, { room: 'a' });
  const own = tracker.tryOpen('192.0.2.1');
  assert.equal(typeof own.id, 'string');
  assert.notEqual(own.id, '');
});

test('an id in use is rejected and opens nothing', () => {
  const tracker = fresh({ maxPerClient: 1 });
  const connection = tracker.tryOpen('192.0.2.1', { id: 'one' });
  const duplicate = { name: 'SluiceError', code: 'ERR_SLUICE_DUPLICATE_ID', message: /"one" is in use/ };
  assert.throws(() => tracker.tryOpen('192.0.2.2', { id: 'one' }), duplicate);
  assert.deepEqual([tracker.count, tracker.countFor('192.0.2.2')], [1, 0]);
  connection.close();
  assert.equal(tracker.tryOpen('192.0.2.2', { id: 'one' }).id, 'one');
});

test('generated ids never equal given ids', () => {
  const tracker = fresh({});
  const ids = new Set();
  for (let i = 0; i < 20; i++) ids.add(tracker.tryOpen('192.0.2.1', { id: `c${i}` }).id);
  for (let i = 0; i < 20; i++) ids.add(tracker.tryOpen('192.0.2.1').id);
  assert.equal(ids.size, 40);
});

test('close is idempotent, on the connection, a found copy and the tracker', () => {
  const tracker = fresh({});
  const connection = tracker.tryOpen('192.0.2.1', { id: 'one' });
  const found = tracker.get('one');
  assert.deepEqual([connection.close(), connection.close(), found.close()], [true, false, false]);
  assert.deepEqual([tracker.count, tracker.stats().closed], [0, 1]);
  assert.equal(tracker.get('one'), undefined);
  assert.equal(tracker.close('one'), false);

  tracker.tryOpen('192.0.2.1', { id: 'two' });
  assert.deepEqual([tracker.close('two'), tracker.close('two'), tracker.count], [true, false, 0]);
  const third = tracker.tryOpen('192.0.2.1');
  third[Symbol.dispose]();
  third[Symbol.dispose]();
  assert.equal(tracker.count, 0);
});

test('a connection is found, listed and closed from any thread', async (t) => {
  const [peer] = startPeers(t, 1);
  const tracker = fresh({});
  const open = ({ load, state }, name) => {
    state.tracker = new (load().ConnectionTracker)(name);
    state.connection = state.tracker.tryOpen('192.0.2.1', { id: 'remote', detail: { room: ['a'] } });
  };
  await peer.run(open, tracker.name);
  const found = tracker.get('remote');
  assert.deepEqual([found.id, found.client, found.detail], ['remote', '192.0.2.1', { room: ['a'] }]);
  assert.ok(Object.isFrozen(found.detail) && Object.isFrozen(found.detail.room));
  assert.deepEqual(tracker.stats().perThread, { [peer.threadId]: 1 });
  assert.equal(tracker.close('remote'), true);
  assert.equal(await peer.run(({ state }) => state.connection.close()), false);
  assert.deepEqual([tracker.count, tracker.stats().perThread], [0, {}]);
});

test('list is sorted oldest first and accepts client and limit', () => {
  const tracker = fresh({});
  for (const [client, id] of [
    ['192.0.2.1', 'a'],
    ['192.0.2.2', 'b'],
    ['192.0.2.1', 'c'],
  ]) {
    tracker.tryOpen(client, { id, detail: `of ${id}` });
  }
  const ids = (options) => tracker.list(options).map(({ id }) => id);
  assert.deepEqual(ids(), ['a', 'b', 'c']);
  assert.deepEqual(ids({ limit: 2 }), ['a', 'b']);
  assert.deepEqual(ids({ client: '::ffff:192.0.2.1' }), ['a', 'c']);
  assert.deepEqual(ids({ client: '192.0.2.9' }), []);
  assert.deepEqual(
    tracker.list().map(({ detail }) => detail),
    ['of a', 'of b', 'of c'],
  );
});

test('`opens` limits how often a client may open', () => {
  const tracker = fresh({ opens: { limit: 3, window: '1m' } });
  const open = (client) => tracker.tryOpen(client)?.close() ?? false;
  assert.deepEqual(
    [1, 2, 3, 4].map(() => open('192.0.2.1')),
    [true, true, true, false],
  );
  assert.equal(open('192.0.2.2'), true);
  clock.advance(19_999);
  assert.equal(open('192.0.2.1'), false);
  clock.advance(1);
  assert.deepEqual([open('192.0.2.1'), open('192.0.2.1')], [true, false]);
  assert.equal(tracker.stats().refused.opens, 3);
});

test('an attempt refused by another limit does not count towards opens', () => {
  const tracker = fresh({ maxPerClient: 1, opens: { limit: 2, window: '1h' } });
  const connection = tracker.tryOpen('192.0.2.1');
  for (let i = 0; i < 5; i++) assert.equal(tracker.tryOpen('192.0.2.1'), null);
  connection.close();
  assert.notEqual(tracker.tryOpen('192.0.2.1'), null);
  assert.deepEqual(tracker.stats().refused, { max: 0, maxPerClient: 5, opens: 0, banned: 0 });
});

test('messages and bytes are quotas per connection; both are charged or neither', () => {
  const tracker = fresh({ messages: { limit: 3, window: '1s' }, bytes: { limit: 1000, window: '1s' } });
  const one = tracker.tryOpen('192.0.2.1');
  const other = tracker.tryOpen('192.0.2.1');
  assert.deepEqual([one.tryMessage(900), one.tryMessage(101), one.tryMessage(100)], [true, false, true]);
  assert.deepEqual([one.tryMessage(), one.tryMessage()], [true, false]);
  assert.equal(other.tryMessage(1000), true);
  assert.equal(other.tryMessage(1001), false, 'a message above the burst is refused');
  const { messages, bytes } = tracker.stats();
  assert.deepEqual(
    [messages, bytes],
    [
      { allowed: 4, refused: 3 },
      { allowed: 2000, refused: 1102 },
    ],
  );
  clock.advance('1s');
  assert.equal(one.tryMessage(1000), true);
  one.close();
  assert.equal(one.tryMessage(), false, 'a closed connection admits no message');
});

test('without quotas every message is admitted and counted', () => {
  const tracker = fresh({});
  const connection = tracker.tryOpen('192.0.2.1');
  for (let i = 0; i < 10; i++) assert.equal(connection.tryMessage(10), true);
  assert.deepEqual(tracker.stats().messages, { allowed: 10, refused: 0 });
  assert.deepEqual(tracker.stats().bytes, { allowed: 100, refused: 0 });
});

test('closeIdle closes connections idle for the given time and returns their number', () => {
  const tracker = fresh({});
  const [quiet, touched, sending] = ['a', 'b', 'c'].map((id) => tracker.tryOpen('192.0.2.1', { id }));
  clock.advance('59s');
  touched.touch();
  sending.tryMessage(1);
  clock.advance('1s');
  assert.equal(tracker.closeIdle('61s'), 0);
  assert.equal(tracker.closeIdle('1m'), 1);
  assert.deepEqual([quiet.close(), tracker.list().map(({ id }) => id)], [false, ['b', 'c']]);
  assert.equal(tracker.closeIdle('1s'), 2);
  assert.equal(tracker.count, 0);
});

test('idleTimeout closes idle connections in every thread', async (t) => {
  const [peer] = startPeers(t, 1);
  const tracker = fresh({ idleTimeout: '1m' });
  const local = tracker.tryOpen('192.0.2.1');
  const open = ({ load }, name) => new (load().ConnectionTracker)(name).tryOpen('192.0.2.2').id;
  await peer.run(open, tracker.name);
  clock.advance('59s');
  local.touch();
  clock.advance('1s');
  await until(() => tracker.count, 1);
  assert.equal(tracker.countFor('192.0.2.1'), 1);
  clock.advance('1m');
  await until(() => tracker.count, 0);
});

test('drain resolves true once no thread has an open connection', async (t) => {
  const [peer] = startPeers(t, 1);
  const tracker = fresh({});
  assert.equal(await tracker.drain({ timeout: 0 }), true);
  const local = tracker.tryOpen('192.0.2.1');
  const open = ({ load, state }, name) => {
    state.connection = new (load().ConnectionTracker)(name).tryOpen('192.0.2.2');
  };
  await peer.run(open, tracker.name);
  const drained = Promise.all([tracker.drain({ timeout: '1h' }), tracker.drain()]);
  local.close();
  assert.equal(tracker.count, 1);
  await peer.run(({ state }) => state.connection.close());
  assert.deepEqual(await drained, [true, true]);
});

test('drain resolves false when its timeout passes with connections open, and closes none', async () => {
  const tracker = fresh({});
  tracker.tryOpen('192.0.2.1');
  assert.equal(await tracker.drain({ timeout: 0 }), false);
  let settled = false;
  const drained = tracker.drain({ timeout: '10s' }).finally(() => (settled = true));
  clock.advance(9999);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(settled, false);
  clock.advance(1);
  assert.equal(await drained, false);
  assert.equal(tracker.count, 1);
});

test('drain resolves when the thread with the last connection ends', async (t) => {
  const [peer] = startPeers(t, 1);
  const tracker = fresh({});
  await peer.run(
    ({ load }, name) => void new (load().ConnectionTracker)(name).tryOpen('192.0.2.2'),
    tracker.name,
  );
  const drained = tracker.drain({ timeout: '1h' });
  await peer.end();
  assert.equal(await drained, true);
});
