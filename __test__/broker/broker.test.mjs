// Calls between threads: routing, results and errors. Every call settles exactly once.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { join, outcomes, shared, until } from '../helpers/broker.mjs';
import { freshName } from '../helpers/peer.mjs';
import { block } from './block.mjs';

const { Broker, SluiceError } = sluice;
const code = (name) => ({ name: 'SluiceError', code: `ERR_SLUICE_${name}` });

/** Polls until a handler runs in the thread of `peer`. */
const handlerRuns = (peer) => until(() => peer.run(({ state }) => state.broker.stats().running === 1));

test('a thread that handles the endpoint answers the call', async (t) => {
  const { broker, ids } = await shared(t, 1);
  assert.equal(await broker.call('echo', 'hello'), 'hello');
  assert.equal(await broker.call('echoLater', 5), 5);
  assert.equal(await broker.call('whichPeer'), ids[0]);
  assert.equal(broker.pendingCount, 0);
});

test('a handler receives the caller, the id and the deadline of the request', async (t) => {
  const { broker } = await shared(t, 1);
  const before = Date.now();
  const first = await broker.call('context', null, { timeout: '1m' });
  const second = await broker.call('context');
  assert.equal(first.from, 'main');
  assert.ok(second.id > first.id);
  assert.ok(Math.abs(first.deadline - before - 60_000) < 5_000, `${first.deadline - before}`);
  assert.ok(Number.isInteger(first.deadline));
});

test('a thousand concurrent calls each get their own answer', async (t) => {
  const { broker } = await shared(t, 4);
  const payloads = Array.from({ length: 1000 }, (_, index) => ({ index, text: `n${index}` }));
  const answers = await Promise.all(payloads.map((payload) => broker.call('echo', payload)));
  assert.deepEqual(answers, payloads);
  assert.equal(broker.pendingCount, 0);
  await until(() => broker.stats().inFlight === 0);
});

test('calls rotate among equally loaded peers; `to` selects one', async (t) => {
  const { broker, ids } = await shared(t, 4);
  const calls = outcomes(Array.from({ length: 40 }, () => broker.call('never')));
  const loads = broker.peers().map(({ load }) => load);
  assert.deepEqual(loads, [0, 10, 10, 10, 10]);
  for (const id of ids) assert.equal(await broker.call('whichPeer', null, { to: id }), id);
  await broker.close();
  assert.deepEqual(await calls, Array(40).fill('CLOSED'));
});

test('calls go to the least loaded peer', async (t) => {
  const { broker, ids } = await shared(t, 2);
  const stuck = Array.from({ length: 5 }, () => broker.call('never', null, { to: ids[0] }).catch(() => {}));
  const answered = await Promise.all(Array.from({ length: 5 }, () => broker.call('whichPeer')));
  assert.deepEqual(new Set(answered), new Set([ids[1]]));
  await broker.close();
  await Promise.all(stuck);
});

test('a call to the own thread receives a copy, as any other call', async (t) => {
  const broker = join(t);
  const given = { list: [1] };
  broker.handle('change', (payload) => {
    payload.list.push(2);
    return payload;
  });
  assert.deepEqual(await broker.call('change', given), { list: [1, 2] });
  assert.deepEqual(given, { list: [1] });
});

test('the payload is copied at the call; later changes do not travel', async (t) => {
  const { broker } = await shared(t, 1);
  const payload = { n: 1 };
  const bytes = Buffer.from('abc');
  const calls = [broker.call('echo', payload), broker.call('echo', bytes)];
  payload.n = 2;
  bytes[0] = 0;
  assert.deepEqual(await Promise.all(calls), [{ n: 1 }, Buffer.from('abc')]);
});

test('an error of a handler arrives with its name, message, code and cause', async (t) => {
  const { broker } = await shared(t, 1);
  const error = await broker.call('throw', 'typed').catch((thrown) => thrown);
  assert.ok(error instanceof TypeError && error.cause instanceof RangeError);
  assert.deepEqual([error.name, error.message, error.code], ['TypeError', 'wrong', 'E_WRONG']);
  assert.equal(error.cause.message, 'the cause');
  assert.match(error.remoteStack, /broker\.mjs|evalmachine/, 'the stack of the handler');
  assert.doesNotMatch(error.stack, /evalmachine/, 'the stack has no frame of the other thread');
  await assert.rejects(broker.call('throw', 'coded'), (coded) => {
    assert.ok(coded instanceof SluiceError);
    return coded.code === 'ERR_SLUICE_NOT_FOUND' && coded.message === 'nothing there';
  });
  await assert.rejects(broker.call('reject'), { name: 'Error', message: 'later' });
});

test('a thrown value that is not an error arrives as the cause of an Error', async (t) => {
  const { broker } = await shared(t, 1);
  await assert.rejects(broker.call('throw', 'text'), { name: 'Error', message: 'a text', cause: 'a text' });
  const ofObject = await broker.call('throw', 'object').catch((thrown) => thrown);
  assert.ok(ofObject instanceof Error);
  assert.deepEqual(ofObject.cause, { a: 1 });
  for (const how of ['nothing', 'method']) {
    const error = await broker.call('throw', how).catch((thrown) => thrown);
    assert.ok(error instanceof Error && /is no Error/.test(error.message), error.message);
  }
});

test('a call rejects at its deadline and aborts the signal of its handler', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const { broker, peers } = await shared(t, 1);
  const rejected = assert.rejects(broker.call('never', null, { timeout: 20 }), code('TIMEOUT'));
  await handlerRuns(peers[0]);
  clock.advance(20);
  await rejected;
  assert.equal(broker.pendingCount, 0);
  await until(() => peers[0].run(({ state }) => state.aborted.length === 1));
  assert.deepEqual(await peers[0].run(({ state }) => state.aborted), ['ERR_SLUICE_TIMEOUT']);
});

test('an aborted call rejects with the reason of its signal and aborts its handler', async (t) => {
  const { broker, peers } = await shared(t, 1);
  const controller = new AbortController();
  const call = broker.call('never', null, { signal: controller.signal });
  await handlerRuns(peers[0]);
  controller.abort('enough');
  assert.equal(await call.catch((reason) => reason), 'enough');
  await until(() => peers[0].run(({ state }) => state.aborted.length === 1));
  assert.deepEqual(await peers[0].run(({ state }) => state.aborted), [20], 'an AbortError');
  const aborted = AbortSignal.abort('before');
  assert.equal(await broker.call('echo', 1, { signal: aborted }).catch((reason) => reason), 'before');
  assert.equal(broker.stats().thread.calls, 1);
});

test('an answer after the deadline is dropped and counted as late', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const broker = join(t);
  let answer;
  broker.handle('slow', () => new Promise((resolve) => (answer = resolve)));
  const rejected = assert.rejects(broker.call('slow', null, { timeout: 10 }), code('TIMEOUT'));
  await until(() => answer !== undefined);
  clock.advance(10);
  await rejected;
  answer('late');
  await until(() => broker.stats().thread.late === 1);
  assert.deepEqual([broker.pendingCount, broker.stats().inFlight], [0, 0]);
});

test('a request that is past its deadline when it is received does not run', async (t) => {
  const { broker, peers } = await shared(t, 1);
  const unblock = await block(peers[0]);
  await assert.rejects(broker.call('echo', 1, { timeout: 20 }), code('TIMEOUT'));
  await unblock();
  await until(() => broker.stats().inFlight === 0);
  assert.equal(await peers[0].run(({ state }) => state.served), 0);
});

test('an invalid call rejects with a code and leaves nothing pending', async (t) => {
  const { broker, ids } = await shared(t, 1);
  const mistakes = [
    ['NO_ENDPOINT', 'missing'],
    ['NO_ENDPOINT', 'echo', 1, { to: 'main' }],
    ['PEER_GONE', 'echo', 1, { to: 'unknown' }],
    ['INVALID_NAME', ''],
    ['INVALID_NAME', 5],
    ['INVALID_NAME', 'x'.repeat(129)],
    ['INVALID_VALUE', 'echo', () => 1],
    ['INVALID_VALUE', 'echo', { a: [Symbol('s')] }],
    ['INVALID_VALUE', 'echo', new (class Point {})()],
    ['INVALID_VALUE', 'returnFunction'],
    ['INVALID_OPTION', 'echo', 1, { timeout: 0 }],
    ['INVALID_OPTION', 'echo', 1, { timeout: -1 }],
    ['INVALID_OPTION', 'echo', 1, { timeout: 'soon' }],
    ['INVALID_OPTION', 'echo', 1, { signal: {} }],
    ['INVALID_OPTION', 'echo', 1, { to: '' }],
    ['INVALID_OPTION', 'echo', 1, { tiemout: 5 }],
    ['INVALID_OPTION', 'echo', 1, null],
  ];
  for (const [expected, ...args] of mistakes) {
    assert.deepEqual(await outcomes([broker.call(...args)]), [expected], String(args));
  }
  await assert.rejects(broker.call('echo', { a: [1, { b: () => 1 }] }), /payload\.a\[1\]\.b is a function/);
  assert.equal(await broker.call('echo', 1, { timeout: '365d', to: ids[0] }), 1);
  await until(() => broker.stats().inFlight === 0);
  assert.equal(broker.pendingCount, 0);
});

test('invalid names, ids, options and handlers throw; an endpoint has one handler', async (t) => {
  const { broker } = await shared(t, 1);
  assert.throws(() => new Broker(''), code('INVALID_NAME'));
  assert.throws(() => new Broker('x', { id: 5 }), code('INVALID_OPTION'));
  assert.throws(() => new Broker('x', { inbox: 0 }), code('INVALID_OPTION'));
  assert.throws(() => new Broker('x', { metadata: { f() {} } }), code('INVALID_VALUE'));
  assert.throws(() => new Broker('x', { bounds: 1 }), code('INVALID_OPTION'));
  assert.throws(() => broker.handle('', () => 1), code('INVALID_NAME'));
  assert.throws(() => broker.handle('x', 'no function'), code('INVALID_OPTION'));
  assert.throws(() => broker.on('mesage', () => 1), code('INVALID_OPTION'));
  broker.handle('mine', () => 1);
  assert.throws(() => broker.handle('mine', () => 2), code('DUPLICATE_ID'));
  assert.equal(broker.unhandle('mine'), true);
  assert.equal(broker.unhandle('mine'), false);
  await assert.rejects(broker.call('mine'), code('NO_ENDPOINT'));
  broker.handle('mine', () => 3);
  assert.equal(await broker.call('mine'), 3);
});

test('the id of a peer is unique', async (t) => {
  const { broker, peers, ids } = await shared(t, 2);
  assert.notEqual(ids[0], ids[1]);
  const join = ({ load }, { name, id }) => {
    const { Broker } = load();
    try {
      return new Broker(name, { id }).id;
    } catch (error) {
      return error.code;
    }
  };
  assert.equal(await peers[0].run(join, { name: broker.name, id: 'main' }), 'ERR_SLUICE_CONFIG_MISMATCH');
  await peers[0].run(({ state }) => state.broker.close());
  assert.equal(await peers[0].run(join, { name: broker.name, id: 'main' }), 'ERR_SLUICE_DUPLICATE_ID');
  assert.equal(await peers[0].run(join, { name: broker.name, id: 'other' }), 'other');
});

test('all Broker objects of a thread are one peer', (t) => {
  const first = join(t, freshName(), { id: 'one', inbox: 10, metadata: { zone: 'a' } });
  const second = new Broker(first.name);
  assert.deepEqual([second.id, first.peers().length], ['one', 1]);
  assert.equal(new Broker(first.name, { id: 'one', inbox: 10 }).id, 'one');
  assert.throws(() => new Broker(first.name, { id: 'two' }), code('CONFIG_MISMATCH'));
  assert.throws(() => new Broker(first.name, { inbox: 11 }), code('CONFIG_MISMATCH'));
});

test('peers() and endpoints() list the endpoints of every peer', async (t) => {
  const { broker, ids } = await shared(t, 1);
  broker.handle('echo', (payload) => payload);
  const [own, other] = broker.peers();
  assert.deepEqual([own.id, own.threadId, own.endpoints], ['main', 0, ['echo']]);
  assert.equal(other.id, ids[0]);
  assert.ok(other.endpoints.includes('never') && broker.endpoints().includes('never'));
});
