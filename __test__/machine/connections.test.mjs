// A tracker of all processes of a machine: one cap, and what a process holds is gone when it ends.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import sluice from '../../index.js';
import { manualClock, reset } from '../../lib/testing.js';
import { filesIn, onLinux, sharedDirectory, startProcesses } from '../helpers/machine.mjs';
import { freshName, startPeers } from '../helpers/peer.mjs';

const { ConnectionTracker, createGuard, RateLimiter, Reputation } = sluice;
const CLIENT = '203.0.113.7';

function openTracker(t, options) {
  const name = freshName();
  const directory = sharedDirectory(t);
  t.after(() => ConnectionTracker.destroy(name));
  const given = { scope: { shared: directory }, ...options };
  return { name, directory, options: given, tracker: new ConnectionTracker(name, given) };
}

/** In another process: opens the tracker, and as many connections of the client. */
const hold = ({ load, state }, { name, options, client, count }) => {
  state.tracker ??= new (load().ConnectionTracker)(name, options);
  state.held ??= [];
  for (let number = 0; number < count; number++) state.held.push(state.tracker.tryOpen(client));
  return state.held.filter((connection) => connection !== null).length;
};

/** Opens until it may: before a refusal a tracker looks for processes that ended, once a millisecond at most. */
function openSoon(tracker, client) {
  for (let turn = 0; turn < 1_000_000; turn++) {
    const connection = tracker.tryOpen(client);
    if (connection !== null) return connection;
  }
  throw new Error(`refused: ${JSON.stringify(tracker.stats())}`);
}

test('processes share max and maxPerClient', onLinux, async (t) => {
  const { name, options, tracker } = openTracker(t, { max: 5, maxPerClient: 3 });
  const [other] = startProcesses(t, 1);
  const held = [tracker.tryOpen(CLIENT)];
  assert.equal(await other.run(hold, { name, options, client: CLIENT, count: 4 }), 2);
  assert.equal(tracker.tryOpen(CLIENT), null);
  assert.deepEqual([tracker.count, tracker.countFor(CLIENT)], [3, 3]);
  held.push(tracker.tryOpen('203.0.113.8'), tracker.tryOpen('203.0.113.9'));
  assert.equal(tracker.tryOpen('203.0.113.10'), null);
  const { count, opened, closed, refused, processes, deaths, machine } = tracker.stats();
  assert.deepEqual(
    { count, opened, closed, processes, deaths },
    { count: 5, opened: 5, closed: 0, processes: 2, deaths: 0 },
  );
  assert.deepEqual(refused, { max: 1, maxPerClient: 3, opens: 0, banned: 0 });
  assert.deepEqual(machine.attached.map(({ pid }) => pid).sort(), [process.pid, other.pid].sort());
  for (const connection of held) assert.equal(connection.close(), true);
  assert.equal(held[0].close(), false, 'closed once');
  assert.deepEqual([tracker.count, tracker.countFor(CLIENT)], [2, 2]);
});

test('ids, details and lists are of their process', onLinux, async (t) => {
  const { name, options, tracker } = openTracker(t, { max: 10 });
  const [other] = startProcesses(t, 1);
  const open = ({ load, state }, { name, options, client }) => {
    state.tracker = new (load().ConnectionTracker)(name, options);
    state.connection = state.tracker.tryOpen(client, { id: 'one', detail: { of: 'other' } });
    return state.tracker.list().map(({ id, detail }) => ({ id, of: detail.of }));
  };
  tracker.tryOpen(CLIENT, { id: 'one', detail: { of: 'this' } });
  assert.deepEqual(await other.run(open, { name, options, client: CLIENT }), [{ id: 'one', of: 'other' }]);
  assert.deepEqual(
    tracker.list({ client: CLIENT }).map(({ detail }) => detail.of),
    ['this'],
  );
  assert.equal(tracker.get('one').detail.of, 'this');
  assert.throws(() => tracker.tryOpen(CLIENT, { id: 'one' }), { code: 'ERR_SLUICE_DUPLICATE_ID' });
  assert.equal(tracker.close('one'), true);
  assert.equal(tracker.close('one'), false, 'that of the other process is not found');
  assert.equal(tracker.countFor(CLIENT), 1);
  assert.equal(await tracker.drain({ timeout: 0 }), true, 'of this process none is left');
  assert.deepEqual(Object.keys(tracker.stats().perThread), []);
});

test('what a process held is free once it was killed', onLinux, async (t) => {
  const { name, options, tracker } = openTracker(t, { max: 4, maxPerClient: 4 });
  const [killed, ended] = startProcesses(t, 2);
  assert.equal(await killed.run(hold, { name, options, client: CLIENT, count: 2 }), 2);
  assert.equal(await ended.run(hold, { name, options, client: CLIENT, count: 5 }), 2);
  assert.equal(tracker.tryOpen(CLIENT), null);
  await killed.kill();
  openSoon(tracker, CLIENT);
  assert.ok(tracker.tryOpen(CLIENT));
  assert.equal(tracker.tryOpen(CLIENT), null, 'two of four are held elsewhere');
  await ended.end();
  openSoon(tracker, CLIENT);
  assert.ok(tracker.tryOpen(CLIENT));
  const { count, processes, deaths } = tracker.stats();
  assert.deepEqual({ count, processes, deaths }, { count: 4, processes: 1, deaths: 2 });
});

test('a thread that ends releases what it held', onLinux, async (t) => {
  const { name, options, tracker } = openTracker(t, { max: 3 });
  const [other] = startProcesses(t, 1);
  assert.equal(await other.run(hold, { name, options, client: CLIENT, count: 1 }), 1);
  const [peer] = startPeers(t, 1);
  const opened = await peer.run(
    ({ load }, { name, client }) => {
      const tracker = new (load().ConnectionTracker)(name);
      return [1, 2, 3].filter(() => tracker.tryOpen(client) !== null).length;
    },
    { name, client: CLIENT },
  );
  assert.equal(opened, 2);
  assert.equal(tracker.count, 3);
  await peer.end();
  assert.equal(tracker.count, 1);
});

test('processes share how often a client opens', onLinux, async (t) => {
  const { name, options, tracker } = openTracker(t, { opens: { limit: 3, window: '30d' } });
  const [other] = startProcesses(t, 1);
  assert.equal(await other.run(hold, { name, options, client: CLIENT, count: 2 }), 2);
  assert.equal(tracker.tryOpen(CLIENT).close(), true);
  assert.equal(tracker.tryOpen(CLIENT), null);
  assert.equal(tracker.stats().refused.opens, 1);
  assert.ok(tracker.tryOpen('203.0.113.8'));
});

test('options of another process come into force where the scope says so', onLinux, async (t) => {
  const { name, options, tracker, directory } = openTracker(t, { max: 10, maxPerClient: 1 });
  const [other] = startProcesses(t, 1);
  const more = { ...options, max: 20, maxPerClient: 2 };
  const refused = await other
    .run(hold, { name, options: more, client: CLIENT, count: 1 })
    .catch((error) => error);
  assert.equal(refused.code, 'ERR_SLUICE_CONFIG_MISMATCH');
  assert.match(refused.message, /max = 10, and processes use it; given: 20/);
  assert.ok(refused.message.includes(directory), refused.message);
  tracker.tryOpen(CLIENT);
  const scope = { ...options.scope, onMismatch: 'reconfigure' };
  assert.equal(await other.run(hold, { name, options: { ...more, scope }, client: CLIENT, count: 1 }), 1);
  assert.equal(tracker.tryOpen(CLIENT), null, 'two are open');
  const fixed = await other
    .run(({ load }, { name, options }) => void new (load().ConnectionTracker)(name, options), {
      name,
      options: { ...more, scope, clients: 'opaque' },
    })
    .catch((error) => error);
  assert.equal(fixed.code, 'ERR_SLUICE_CONFIG_MISMATCH');
});

test('an idle timeout of another process closes connections here', onLinux, async (t) => {
  const { name, options, tracker } = openTracker(t, { max: 10 });
  const [other] = startProcesses(t, 1);
  const closed = new Promise((resolve) => tracker.tryOpen(CLIENT, { onClose: resolve }));
  const scope = { ...options.scope, onMismatch: 'reconfigure' };
  const more = { ...options, scope, idleTimeout: '50ms' };
  assert.equal(await other.run(hold, { name, options: more, client: CLIENT, count: 0 }), 0);
  await closed;
  assert.equal(tracker.count, 0);
});

test('the same options attach in every thread, and others do not', onLinux, async (t) => {
  const { name, options, tracker } = openTracker(t, {
    max: 3,
    maxPerClient: 2,
    opens: { limit: 100, window: '1h' },
  });
  const again = new ConnectionTracker(name, { ...options, scope: { ...options.scope } });
  assert.ok(again.tryOpen(CLIENT) && tracker.tryOpen(CLIENT));
  assert.equal(again.tryOpen(CLIENT), null, 'both count together');
  const [peer] = startPeers(t, 1);
  const count = await peer.run(
    ({ load }, { name, options }) => new (load().ConnectionTracker)(name, options).count,
    { name, options },
  );
  assert.equal(count, 2);
  const open = (more) => () => new ConnectionTracker(name, { ...options, ...more });
  assert.throws(open({ max: 4 }), { code: 'ERR_SLUICE_CONFIG_MISMATCH', message: /max = 3; given: 4/ });
  const elsewhere = { shared: sharedDirectory(t) };
  assert.throws(open({ scope: elsewhere }), { code: 'ERR_SLUICE_CONFIG_MISMATCH', message: /scope/ });
});

test('a guard of one name is created twice', onLinux, (t) => {
  const scope = { shared: sharedDirectory(t) };
  const name = freshName();
  t.after(() => {
    for (const kind of [ConnectionTracker, RateLimiter, Reputation]) kind.destroy(name);
  });
  const options = {
    connections: { max: 2 },
    rateLimit: { limit: 5, window: '1h' },
    reputation: { maxFailures: 5, findTime: '1m', banTime: '1m', maxBanTime: '1h' },
    scope,
  };
  for (let turn = 0; turn < 2; turn++) assert.doesNotThrow(() => createGuard(name, options));
});

test('options come into force when no process is attached', onLinux, async (t) => {
  const { name, options, directory } = openTracker(t, { max: 1 });
  ConnectionTracker.destroy(name);
  assert.deepEqual(filesIn(directory), [], 'the last one removes the file');
  const [other] = startProcesses(t, 1);
  assert.equal(await other.run(hold, { name, options: { ...options, max: 2 }, client: CLIENT, count: 3 }), 2);
});

test('destroy ends the tracker in this process, or everywhere', onLinux, async (t) => {
  const { name, options, tracker } = openTracker(t, { max: 4 });
  const [other, another] = startProcesses(t, 2);
  await other.run(hold, { name, options, client: CLIENT, count: 1 });
  await another.run(hold, { name, options, client: CLIENT, count: 1 });
  tracker.tryOpen(CLIENT);
  const count = ({ state }) => state.tracker.count;
  assert.equal(await other.run(count), 3);
  assert.equal(ConnectionTracker.destroy(name), true);
  assert.throws(() => tracker.tryOpen(CLIENT), { code: 'ERR_SLUICE_CLOSED' });
  assert.equal(await other.run(count), 2, 'what this process held is free');
  const destroy = ({ load }, name) => load().ConnectionTracker.destroy(name, { everywhere: true });
  assert.equal(await other.run(destroy, name), true);
  const again = await another
    .run(({ state }) => state.tracker.tryOpen('203.0.113.7'))
    .catch((error) => error);
  assert.equal(again.code, 'ERR_SLUICE_CLOSED');
  assert.equal(new ConnectionTracker(name, options).count, 0, 'its name is free');
});

test('a guard shares its connections by its scope', onLinux, async (t) => {
  const directory = sharedDirectory(t);
  const options = { connections: { max: 2 }, rateLimit: false, scope: { shared: directory } };
  const name = freshName();
  t.after(() => ConnectionTracker.destroy(name));
  const [other] = startProcesses(t, 1);
  const port = await other.run(
    async ({ load, require, state }, { name, options }) => {
      const { createGuard } = load();
      const answer = (_req, res) => res.end('other');
      state.server = require('node:http').createServer({ keepAliveTimeout: 0 }, answer);
      createGuard(name, options).attach(state.server);
      await new Promise((resolve) => state.server.listen(0, '127.0.0.1', resolve));
      return state.server.address().port;
    },
    { name, options },
  );
  // Without a timeout: both connections are still open when the third comes, however late that is.
  const server = http.createServer({ keepAliveTimeout: 0 }, (_req, res) => res.end('this'));
  createGuard(name, options).attach(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const sockets = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  const connect = async (port) => {
    const socket = net.connect(port, '127.0.0.1');
    sockets.push(socket);
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const [answer] = await once(socket, 'data');
    return Number(String(answer).slice(9, 12));
  };
  assert.deepEqual([await connect(port), await connect(server.address().port)], [200, 200]);
  assert.equal(await connect(server.address().port), 503, 'two are open in two processes');
  await other.kill();
  const tracker = new ConnectionTracker(name);
  openSoon(tracker, CLIENT).close();
  assert.equal(await connect(server.address().port), 200);
});

test('bad input is refused', onLinux, (t) => {
  const directory = sharedDirectory(t);
  const open = (options) => () => new ConnectionTracker(freshName(), options);
  for (const shared of ['', 5, null, false, {}]) {
    assert.throws(open({ scope: { shared } }), { code: 'ERR_SLUICE_INVALID_OPTION' }, String(shared));
  }
  assert.throws(open({ scope: { shared: directory, other: 1 } }), { code: 'ERR_SLUICE_INVALID_OPTION' });
  assert.throws(open({ scope: { shared: '/proc/self' } }), { code: 'ERR_SLUICE_SCOPE_UNAVAILABLE' });
  assert.throws(open({ max: 1_000_001, scope: { shared: directory } }), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /max is 1000001; accepted: at most 1000000, where processes share it/,
  });
  for (const scope of ['machine', 5]) {
    assert.throws(open({ scope }), { code: 'ERR_SLUICE_INVALID_OPTION', message: /"process", \{ shared/ });
  }
  const name = freshName();
  t.after(() => ConnectionTracker.destroy(name));
  new ConnectionTracker(name, { max: 1 });
  assert.throws(() => new ConnectionTracker(name, { max: 1, scope: { shared: directory } }), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
    message: /scope/,
  });
});

test('a clock that a test sets and a tracker that processes share refuse each other', onLinux, (t) => {
  const { name, tracker, options } = openTracker(t, { max: 1 });
  assert.throws(() => manualClock(), { code: 'ERR_SLUICE_UNSUPPORTED', message: new RegExp(name) });
  assert.ok(tracker.tryOpen(CLIENT));
  ConnectionTracker.destroy(name);
  const clock = manualClock();
  t.after(() => clock.restore());
  assert.throws(() => new ConnectionTracker(name, options), { code: 'ERR_SLUICE_UNSUPPORTED' });
});

test('a reset of tests releases what this process held', onLinux, async (t) => {
  const { name, options, tracker } = openTracker(t, { max: 3 });
  const [other] = startProcesses(t, 1);
  await other.run(hold, { name, options, client: CLIENT, count: 1 });
  tracker.tryOpen(CLIENT);
  reset();
  assert.equal(tracker.count, 1);
  assert.equal(new ConnectionTracker(name, options).count, 1);
});

test('a name is free once another process has ended what a test has reset', onLinux, async (t) => {
  const { name, options, tracker } = openTracker(t, { max: 3 });
  const [other] = startProcesses(t, 1);
  await other.run(hold, { name, options, client: CLIENT, count: 1 });
  reset();
  const destroy = ({ load }, name) => load().ConnectionTracker.destroy(name, { everywhere: true });
  assert.equal(await other.run(destroy, name), true);
  assert.throws(() => tracker.tryOpen(CLIENT), { code: 'ERR_SLUICE_CLOSED' });
  assert.ok(new ConnectionTracker(name, options).tryOpen(CLIENT));
});
