// Threads that join, leave and die: every call settles once, and nothing stays pending.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { join, outcomes, shared, until } from '../helpers/broker.mjs';
import { freshName, startPeers } from '../helpers/peer.mjs';
import { stopClock } from '../helpers/setup.mjs';
import { block } from './block.mjs';

const { Broker } = sluice;
const clock = stopClock();
const code = (name) => ({ code: `ERR_SLUICE_${name}` });

const nothingIsLeft = (broker) =>
  until(() => {
    const { waiting, inFlight, pending, running } = broker.stats();
    return waiting + inFlight + pending + running === 0;
  });

test('calls to a peer that dies reject with PEER_GONE; calls to others go on', async (t) => {
  const { broker, peers, ids } = await shared(t, 2);
  const calls = outcomes(Array.from({ length: 50 }, () => broker.call('never', null, { to: ids[0] })));
  const answered = broker.call('echo', 1, { to: ids[1] });
  const left = new Promise((resolve) => broker.once('peerLeave', resolve));
  await until(() => broker.stats().inFlight >= 50);
  await peers[0].end();
  assert.deepEqual(await calls, Array(50).fill('PEER_GONE'));
  assert.equal((await left).id, ids[0]);
  assert.equal(await answered, 1);
  await assert.rejects(broker.call('echo', 1, { to: ids[0] }), code('PEER_GONE'));
  assert.deepEqual(
    broker.peers().map(({ id }) => id),
    ['main', ids[1]],
  );
  await nothingIsLeft(broker);
});

test('a handler is aborted when its caller dies', async (t) => {
  const { broker, peers } = await shared(t, 2);
  let reason;
  broker.handle('wait', (_payload, { signal }) => {
    signal.addEventListener('abort', () => (reason = signal.reason.code));
    return new Promise(() => {});
  });
  await peers[0].run(({ state }) => void state.broker.call('wait').catch(() => {}));
  await until(() => broker.stats().running === 1);
  await peers[0].end();
  await until(() => reason === 'ERR_SLUICE_PEER_GONE');
});

test('"peerJoin" and "peerLeave" report each peer with its metadata', async (t) => {
  const broker = join(t);
  const received = [];
  broker.on('peerJoin', (peer) => received.push(['join', peer.id, peer.metadata]));
  broker.on('peerLeave', (peer) => received.push(['leave', peer.id, peer.metadata]));
  const [peer] = startPeers(t, 1);
  const count = await peer.run(({ load, state }, name) => {
    state.broker = new (load().Broker)(name, { id: 'b', metadata: { zone: 'x' } });
    return state.broker.peers().length;
  }, broker.name);
  assert.equal(count, 2);
  assert.deepEqual(broker.peers()[1].metadata, { zone: 'x' });
  assert.equal(broker.peers()[1].threadId, peer.threadId);
  await peer.run(({ state }) => state.broker.close());
  await until(() => received.length === 2);
  assert.deepEqual(received, [
    ['join', 'b', { zone: 'x' }],
    ['leave', 'b', { zone: 'x' }],
  ]);
});

test('messages of one sender arrive in the order sent', async (t) => {
  const { broker, peers, ids } = await shared(t, 2);
  const sent = [];
  for (let i = 0; i < 300; i++) {
    if (i % 3 === 0) {
      assert.equal(broker.broadcast(i), 2);
      sent.push(i);
    } else if (i % 3 === 1) {
      broker.send(ids[0], { i, text: 'x'.repeat(i) });
      sent.push({ i, text: 'x'.repeat(i) });
    } else {
      broker.send(ids[0], Buffer.from([i % 256]));
      sent.push([i % 256]);
    }
  }
  const counts = [300, 100];
  for (const [at, count] of counts.entries()) {
    await until(async () => (await peers[at].run(({ state }) => state.messages.length)) === count);
  }
  const received = await peers[0].run(({ state }) =>
    state.messages.map(([from, payload]) => [from, Buffer.isBuffer(payload) ? [...payload] : payload]),
  );
  assert.deepEqual(
    received,
    sent.map((payload) => ['main', payload]),
  );
  const elsewhere = await peers[1].run(({ state }) => state.messages.map(([, payload]) => payload));
  assert.deepEqual(
    elsewhere,
    sent.filter((payload) => typeof payload === 'number'),
  );
});

test('a message to an unknown peer throws; one without a listener is counted as unheard', async (t) => {
  const { broker, peers, ids } = await shared(t, 1);
  assert.throws(() => broker.send('unknown', 1), code('PEER_GONE'));
  assert.throws(() => broker.send('', 1), code('INVALID_NAME'));
  await peers[0].run(({ state }, id) => state.broker.send(id, 'unheard'), 'main');
  await until(() => broker.stats().thread.unheard === 1);
  assert.equal(broker.stats().thread.received, 1);
  assert.equal(join(t).broadcast('alone'), 0);
  assert.equal(ids.length, 1);
});

test('a full inbox rejects further calls with BACKPRESSURE and loses none', async (t) => {
  const { broker, peers, ids } = await shared(t, 1, { inbox: 10 });
  const [to] = ids;
  const calls = Array.from({ length: 30 }, () => broker.call('never', null, { to }));
  const settled = outcomes(calls);
  await until(() => broker.stats().thread.refused === 20);
  assert.equal(broker.stats().inFlight, 10);
  await peers[0].run(({ state }) => state.broker.close({ timeout: 0 }));
  const all = await settled;
  assert.equal(all.filter((outcome) => outcome === 'BACKPRESSURE').length, 20);
  assert.equal(all.filter((outcome) => outcome === 'PEER_GONE').length, 10);
  await nothingIsLeft(broker);
});

test('a refusal names the call or message, the receiver, and what is accepted', async (t) => {
  const broker = join(t, undefined, { id: 'main', inbox: 1 });
  const title = `Broker "${broker.name}"`;
  broker.handle('never', () => new Promise(() => {}));
  const first = outcomes([broker.call('never')]);
  const full = 'is full (1 pending or being worked on); wait for "drain"';
  await assert.rejects(broker.call('never'), {
    message: `${title}: the call of "never" was refused: the inbox of every peer that serves it ${full}`,
  });
  assert.throws(() => broker.send('main', 1), {
    message: `${title}: the message was refused: the inbox of peer "main" ${full}`,
  });
  await assert.rejects(broker.call('missing'), {
    message: `${title}: no peer serves "missing"; served now: "never"`,
  });
  await broker.close({ timeout: 0 });
  assert.deepEqual(await first, ['CLOSED']);
});

test('a full inbox rejects messages until "drain"', async (t) => {
  const { broker, peers, ids } = await shared(t, 1, { inbox: 10 });
  const [to] = ids;
  const unblock = await block(peers[0]);
  const rejected = [];
  for (let i = 0; i < 15; i++) {
    try {
      broker.send(to, i);
    } catch (error) {
      rejected.push([i, error.code]);
    }
  }
  assert.deepEqual(
    rejected,
    [10, 11, 12, 13, 14].map((i) => [i, 'ERR_SLUICE_BACKPRESSURE']),
  );
  assert.equal(broker.broadcast('full'), 0);
  const drained = new Promise((resolve) => broker.once('drain', resolve));
  await unblock();
  assert.deepEqual(await drained, { id: to });
  broker.send(to, 'again');
  await until(async () => (await peers[0].run(({ state }) => state.messages.length)) === 11);
  const messages = await peers[0].run(({ state }) => state.messages.map(([, payload]) => payload));
  assert.deepEqual(messages, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 'again']);
});

test('close() answers the requests already received before the peer leaves', async (t) => {
  const { broker, peers } = await shared(t, 1);
  await peers[0].run(({ state }) => {
    state.broker.handle('gate', () => new Promise((resolve) => (state.open = resolve)));
  });
  const slow = broker.call('gate');
  await until(() => peers[0].run(({ state }) => state.open !== undefined));
  const calls = Array.from({ length: 100 }, (_, i) => broker.call('echo', i));
  await peers[0].run(({ state }) => {
    state.closed = state.broker.close();
  });
  await until(() => broker.endpoints().length === 0);
  await assert.rejects(broker.call('echo', 1), code('NO_ENDPOINT'));
  assert.deepEqual(
    await Promise.all(calls),
    calls.map((_, i) => i),
  );
  assert.equal(broker.peers().length, 2, 'close() waits for the slow handler');
  await peers[0].run(({ state }) => {
    state.open('done');
    return state.closed;
  });
  assert.equal(await slow, 'done');
  await until(() => broker.peers().length === 1);
  await nothingIsLeft(broker);
});

test('close() waits no longer than its timeout', async (t) => {
  const { broker, peers } = await shared(t, 1);
  const stuck = broker.call('never').catch((error) => error.code);
  await until(() => broker.stats().inFlight === 1);
  await peers[0].run(({ state }) => {
    state.closed = state.broker.close({ timeout: '5s' });
  });
  assert.deepEqual(broker.endpoints(), []);
  assert.equal(broker.peers().length, 2);
  clock.advance('5s');
  await peers[0].run(({ state }) => state.closed);
  assert.equal(await stuck, 'ERR_SLUICE_PEER_GONE');
  assert.deepEqual(await peers[0].run(({ state }) => state.aborted), ['ERR_SLUICE_CLOSED']);
});

test('after close() every use is CLOSED, and the thread can join again', async (t) => {
  const { broker } = await shared(t, 1);
  const pending = outcomes([broker.call('never')]);
  const [first, second] = [broker.close(), broker.close()];
  assert.equal(first, second);
  assert.deepEqual(await pending, ['CLOSED']);
  await first;
  await assert.rejects(broker.call('echo', 1), code('CLOSED'));
  for (const use of [
    () => broker.handle('x', () => 1),
    () => broker.send('x', 1),
    () => broker.broadcast(1),
    () => broker.peers(),
    () => broker.stats(),
  ]) {
    assert.throws(use, code('CLOSED'));
  }
  assert.equal(broker.pendingCount, 0);
  const again = join(t, broker.name);
  assert.equal(await again.call('echo', 'again'), 'again');
});

test('destroy() closes a broker in every thread', async (t) => {
  const { broker, peers } = await shared(t, 2);
  const pending = outcomes([broker.call('never')]);
  const waits = peers[0].run(({ state }) => state.broker.call('never').catch((error) => error.code));
  await until(() => broker.stats().inFlight >= 2);
  assert.equal(Broker.destroy(broker.name), true);
  assert.equal(Broker.destroy(broker.name), false);
  assert.deepEqual(await pending, ['CLOSED']);
  assert.ok(['ERR_SLUICE_CLOSED', 'ERR_SLUICE_PEER_GONE'].includes(await waits));
  assert.equal(
    await peers[1].run(({ state }) => state.broker.call('echo', 1).catch((error) => error.code)),
    'ERR_SLUICE_CLOSED',
  );
  assert.deepEqual(join(t, broker.name).endpoints(), []);
});

test('deadlines follow the library’s clock, up to a year', async (t) => {
  const { broker } = await shared(t, 1);
  const [year, day] = ['365d', '1d'].map((timeout) => outcomes([broker.call('never', null, { timeout })]));
  clock.advance('1d');
  assert.deepEqual(await day, ['TIMEOUT']);
  assert.equal(broker.pendingCount, 1);
  clock.advance('364d');
  assert.deepEqual(await year, ['TIMEOUT']);
  assert.equal(broker.pendingCount, 0);
});

test('handlers and listeners run in the asynchronous context in which they were added', async (t) => {
  const { AsyncLocalStorage } = await import('node:async_hooks');
  const storage = new AsyncLocalStorage();
  const broker = join(t, freshName());
  const received = [];
  storage.run('served', () => broker.handle('context', () => storage.getStore()));
  storage.run('listened', () => broker.on('message', () => received.push(storage.getStore())));
  const answer = await storage.run('called', async () => [await broker.call('context'), storage.getStore()]);
  assert.deepEqual(answer, ['served', 'called']);
  broker.send(broker.id, 'to myself');
  await until(() => received.length === 1);
  assert.deepEqual(received, ['listened']);
});
