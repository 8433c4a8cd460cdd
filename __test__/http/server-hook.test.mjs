// The hook of a server: what sees its events before any listener, and in which order.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import test from 'node:test';
import sluice from '../../index.js';
import hook from '../../lib/http/server-hook.js';
import { freshName } from '../helpers/peer.mjs';
import { connect, listening, until } from '../helpers/sockets.mjs';

const { HOOK_ORDER, hookServer } = hook;
const { BAN_GATE, CONNECTION_TRACKER, SERVED_CONNECTIONS } = HOOK_ORDER;
const { ConnectionTracker, Lifecycle, createGuard } = sluice;

/** A server with one listener, and what has seen its events, in order. */
function observed() {
  const server = new EventEmitter();
  const seen = [];
  server.on('connection', () => seen.push('listener'));
  const saw = (name, result) => ({
    connection: () => {
      seen.push(name);
      return result;
    },
  });
  const emit = () => {
    seen.length = 0;
    const result = server.emit('connection');
    return [...seen, result];
  };
  return { server, saw, emit };
}

/** Another library's wrapper around the server's `emit`. */
function wrap(server) {
  const { emit } = server;
  const wrapper = function (...args) {
    return emit.apply(this, args);
  };
  server.emit = wrapper;
  return wrapper;
}

/** A second copy of the module, as in a thread that loads the package twice. */
function secondCopy() {
  const require = createRequire(import.meta.url);
  const path = require.resolve('../../lib/http/server-hook.js');
  const first = require.cache[path];
  delete require.cache[path];
  try {
    return require(path);
  } finally {
    require.cache[path] = first;
  }
}

const SUBSCRIPTIONS = [
  ['ban gate', BAN_GATE],
  ['tracker', CONNECTION_TRACKER],
  ['served', SERVED_CONNECTIONS],
];

for (const places of [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
]) {
  const subscriptions = places.map((place) => SUBSCRIPTIONS[place]);
  const names = subscriptions.map(([name]) => name).join(', ');
  test(`handlers run in the order of HOOK_ORDER, before listeners, subscribed as ${names}`, () => {
    const { server, saw, emit } = observed();
    for (const [name, order] of subscriptions) hookServer(server, order, saw(name));
    assert.deepEqual(emit(), ['ban gate', 'tracker', 'served', 'listener', true]);
  });
}

test('of subscriptions with the same order, the later one runs first', () => {
  const { server, saw, emit } = observed();
  hookServer(server, SERVED_CONNECTIONS, saw('last'));
  for (const name of ['first', 'second', 'third']) hookServer(server, CONNECTION_TRACKER, saw(name));
  assert.deepEqual(emit(), ['third', 'second', 'first', 'last', 'listener', true]);
});

test('a handler that returns false ends the event, and emit returns true', () => {
  const { server, saw, emit } = observed();
  hookServer(server, SERVED_CONNECTIONS, saw('served'));
  hookServer(server, CONNECTION_TRACKER, saw('tracker', false));
  hookServer(server, BAN_GATE, saw('ban gate', true));
  assert.deepEqual(emit(), ['ban gate', 'tracker', true]);
});

/** Fails when a held event reaches anything before its time, or is seen twice. */
test('a handler that returns a promise holds the event, which then goes on or ends', async () => {
  const { server, saw, emit } = observed();
  const held = [];
  const hold = () => new Promise((resolve) => held.push(resolve));
  hookServer(server, BAN_GATE, saw('first'));
  hookServer(server, CONNECTION_TRACKER, { connection: hold });
  const end = hookServer(server, SERVED_CONNECTIONS, saw('last'));
  assert.deepEqual(emit(), ['first', true]);
  const later = [];
  server.on('connection', () => later.push('passed'));
  held.shift()(true);
  await new Promise(setImmediate);
  assert.deepEqual(later, ['passed']);
  assert.deepEqual(emit(), ['first', true]);
  held.shift()(false);
  await new Promise(setImmediate);
  assert.deepEqual(later, ['passed'], 'it has ended');
  end();
});

test('a handler is given the first two arguments, and listeners all of them', () => {
  const server = new EventEmitter();
  const given = [];
  hookServer(server, BAN_GATE, { upgrade: (...args) => void given.push(args) });
  server.on('upgrade', (...args) => given.push(args));
  assert.equal(server.emit('upgrade', 1, 2, 3), true);
  assert.equal(server.emit('request', 1, 2), false);
  assert.deepEqual(given, [
    [1, 2],
    [1, 2, 3],
  ]);
});

test('an error in a handler is thrown by emit, and the next event is handled', () => {
  const { server, saw, emit } = observed();
  let throws = true;
  hookServer(server, BAN_GATE, {
    connection: () => {
      if (throws) throw new Error('in a handler');
    },
  });
  hookServer(server, CONNECTION_TRACKER, saw('tracker'));
  assert.throws(emit, { message: 'in a handler' });
  throws = false;
  assert.deepEqual(emit(), ['tracker', 'listener', true]);
});

test('the end of one subscription keeps the others; the last one restores emit', () => {
  const { server, saw, emit } = observed();
  const ends = SUBSCRIPTIONS.map(([name, order]) => hookServer(server, order, saw(name)));
  ends[1]();
  ends[1]();
  assert.deepEqual(emit(), ['ban gate', 'served', 'listener', true]);
  ends[0]();
  assert.deepEqual(emit(), ['served', 'listener', true]);
  ends[2]();
  assert.deepEqual(emit(), ['listener', true]);
  assert.equal(server.emit, EventEmitter.prototype.emit);
  assert.equal(Object.hasOwn(server, 'emit'), false);
});

test('an emit of the server itself is restored', () => {
  const { server, saw } = observed();
  const own = wrap(server);
  hookServer(server, BAN_GATE, saw('ban gate'))();
  assert.equal(server.emit, own);
});

test('a handler may end its subscription while the event is handled', () => {
  const { server, saw, emit } = observed();
  const end = hookServer(server, BAN_GATE, { connection: () => end() });
  hookServer(server, CONNECTION_TRACKER, saw('tracker'));
  assert.deepEqual(emit(), ['tracker', 'listener', true]);
  assert.deepEqual(emit(), ['tracker', 'listener', true]);
});

test('where another library has wrapped emit, the hook passes events on after its last subscription', () => {
  const { server, saw, emit } = observed();
  const end = hookServer(server, BAN_GATE, saw('ban gate', false));
  const wrapper = wrap(server);
  end();
  assert.equal(server.emit, wrapper);
  assert.deepEqual(emit(), ['listener', true]);
});

test('subscriptions from before and after a foreign wrapper keep their order, and each runs once', () => {
  const { server, saw, emit } = observed();
  const endTracker = hookServer(server, CONNECTION_TRACKER, saw('tracker'));
  const wrapper = wrap(server);
  const endGate = hookServer(server, BAN_GATE, saw('ban gate'));
  const endServed = hookServer(server, SERVED_CONNECTIONS, saw('served'));
  assert.deepEqual(emit(), ['ban gate', 'tracker', 'served', 'listener', true]);
  for (const end of [endTracker, endGate, endServed]) end();
  assert.equal(server.emit, wrapper);
  assert.deepEqual(emit(), ['listener', true]);
});

test('a subscription works where another library has put an older emit back', () => {
  const { server, saw, emit } = observed();
  const { emit: older } = server;
  hookServer(server, BAN_GATE, saw('ban gate'));
  server.emit = older;
  assert.deepEqual(emit(), ['listener', true]);
  hookServer(server, CONNECTION_TRACKER, saw('tracker'));
  assert.deepEqual(emit(), ['ban gate', 'tracker', 'listener', true]);
});

for (const order of ['the first copy', 'the second copy']) {
  test(`two copies of the package hook one server; both undone, ${order} first, emit is restored`, () => {
    const { server, saw, emit } = observed();
    const copy = secondCopy();
    assert.notEqual(copy.hookServer, hookServer);
    const ends = [
      hookServer(server, BAN_GATE, saw('of the first')),
      copy.hookServer(server, BAN_GATE, saw('of the second')),
    ];
    assert.deepEqual(emit(), ['of the second', 'of the first', 'listener', true]);
    if (order === 'the second copy') ends.reverse();
    ends[0]();
    const left = order === 'the first copy' ? 'of the second' : 'of the first';
    assert.deepEqual(emit(), [left, 'listener', true]);
    ends[1]();
    assert.equal(server.emit, EventEmitter.prototype.emit);
  });
}

test('a thousand subscriptions that come and go leave emit as it was', () => {
  const { server, saw, emit } = observed();
  const ends = Array.from({ length: 1000 }, () => hookServer(server, CONNECTION_TRACKER, saw('tracker')));
  assert.equal(emit().length, 1002);
  for (const end of ends) end();
  assert.equal(server.emit, EventEmitter.prototype.emit);
});

test('a socket that a tracker refuses is no connection of a lifecycle, whichever was attached first', async (t) => {
  for (const isTrackerFirst of [true, false]) {
    const tracker = new ConnectionTracker(freshName(), { max: 1 });
    const lifecycle = new Lifecycle(freshName()).ready();
    const server = http.createServer((_req, res) => res.end('served'));
    const parts = isTrackerFirst ? [tracker, lifecycle] : [lifecycle, tracker];
    for (const part of parts) part.attach(server);
    const port = await listening(t, server);
    tracker.tryOpen('127.0.0.9');
    // Open until the shutdown, which would count it as closed.
    const refused = await connect(t, { port, host: '127.0.0.1', allowHalfOpen: true });
    await until(() => tracker.stats().refused.max, 1);
    const report = await lifecycle.shutdown();
    refused.destroy();
    assert.deepEqual([report.drained, report.connectionsClosed, report.forced], [true, 0, 0]);
  }
});

test('a banned client is not charged for opening, whichever of guard and tracker was attached first', async (t) => {
  for (const isTrackerFirst of [true, false]) {
    const tracker = new ConnectionTracker(freshName(), { opens: { limit: 1, window: '1h' } });
    const reputation = { maxFailures: 5, findTime: '1m', banTime: '1m', maxBanTime: '1h' };
    const guard = createGuard(freshName(), { reputation });
    const server = http.createServer((_req, res) => res.end('served'));
    const parts = isTrackerFirst ? [tracker, guard] : [guard, tracker];
    for (const part of parts) part.attach(server);
    const port = await listening(t, server);
    guard.reputation.ban('127.0.0.1', { duration: '1h' });
    (await connect(t, { port, host: '127.0.0.1' })).resume();
    await until(() => guard.stats().refusedAtAccept, 1);
    assert.deepEqual([tracker.stats().opened, tracker.stats().refused.opens], [0, 0]);
    guard.reputation.unban('127.0.0.1');
    await connect(t, { port, host: '127.0.0.1' });
    await until(() => tracker.count, 1);
  }
});
