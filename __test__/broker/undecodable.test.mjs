// A message that its receiver cannot decode: its call rejects, its inbox capacity is freed, all other messages arrive.
import assert from 'node:assert/strict';
import test from 'node:test';
import { join, shared, until } from '../helpers/broker.mjs';
import { NARROW, unreadable } from '../helpers/nested.mjs';
import { freshName, startPeers } from '../helpers/peer.mjs';
import { unboundedStacks as skip } from '../helpers/runtimes.mjs';

const INVALID = 'ERR_SLUICE_INVALID_VALUE';

/** Starts a peer whose thread has a small stack, with an endpoint `narrow` and a message listener. */
async function narrowPeer(t, name) {
  const [narrow] = startPeers(t, 1, NARROW);
  const id = await narrow.run(({ load, state }, name) => {
    const broker = new (load().Broker)(name);
    state.broker = broker;
    state.runs = 0;
    state.messages = [];
    broker.handle('narrow', (payload) => {
      state.runs += 1;
      return payload;
    });
    broker.on('message', (payload) => state.messages.push(payload));
    return broker.id;
  }, name);
  return { narrow, id };
}

/** Polls, as answers are counted at the end of a turn. */
async function assertNothingIsLeft(broker) {
  await until(() => broker.stats().inFlight === 0);
  const { waiting, inFlight } = broker.stats();
  const nothing = { waiting: 0, inFlight: 0, pending: 0 };
  assert.deepEqual({ waiting, inFlight, pending: broker.pendingCount }, nothing);
}

test('a call that cannot be decoded rejects; the others of its batch are answered', { skip }, async (t) => {
  // Capacity for two rounds, as it is freed only a moment after the answer has arrived.
  const broker = join(t, freshName(), { inbox: 12 });
  const { narrow } = await narrowPeer(t, broker.name);
  for (let round = 0; round < 20; round++) {
    const calls = [1, unreadable(), { a: 2 }, unreadable(), 'x'.repeat(500), Buffer.from('b')].map(
      (payload) => broker.call('narrow', payload).catch((error) => error),
    );
    const [one, lost, two, lostToo, text, bytes] = await Promise.all(calls);
    assert.deepEqual([one, two, text, bytes], [1, { a: 2 }, 'x'.repeat(500), Buffer.from('b')]);
    for (const error of [lost, lostToo]) {
      assert.equal(error.code, INVALID);
      assert.match(error.message, /the payload cannot be decoded: .*stack/);
    }
  }
  await assertNothingIsLeft(broker);
  assert.equal(await narrow.run(({ state }) => state.runs), 80, 'no handler ran for the others');
  assert.equal(broker.stats().undecodable, 0, 'only messages are counted');
});

test('a message that cannot be decoded is dropped and counted; the first emits a warning', {
  skip,
}, async (t) => {
  const broker = join(t, freshName(), { inbox: 4 });
  const { narrow, id } = await narrowPeer(t, broker.name);
  // A thread emits warnings on its own process object.
  await narrow.run(({ state }) => {
    state.warnings = [];
    process.on('warning', ({ code, message }) => state.warnings.push({ code, message }));
  });
  for (let round = 1; round <= 10; round++) {
    broker.send(id, unreadable());
    broker.send(id, round);
    assert.equal(broker.broadcast(unreadable()), 1);
    await until(() => narrow.run(({ state }, round) => state.messages.at(-1) === round, round));
    await until(() => broker.stats().undecodable === 2 * round);
  }
  assert.deepEqual(await narrow.run(({ state }) => state.messages), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await assertNothingIsLeft(broker);
  const warnings = await narrow.run(({ state }) => state.warnings);
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ['SLUICE_UNDECODABLE'],
  );
  assert.match(warnings[0].message, /a message of peer "thread-0" cannot be decoded: /);
});

test('an answer that cannot be decoded rejects its own call only', { skip }, async (t) => {
  const { broker } = await shared(t, 0);
  broker.handle('wide', (kind) => (kind === 'bad' ? unreadable() : kind));
  const { narrow } = await narrowPeer(t, broker.name);
  const outcomes = await narrow.run(
    ({ state }, kinds) =>
      Promise.all(
        kinds.map((kind) =>
          state.broker.call('wide', kind).catch(({ code, message }) => `${code} ${message}`),
        ),
      ),
    ['good', 'bad', 'good', 'bad'],
  );
  assert.deepEqual([outcomes[0], outcomes[2]], ['good', 'good']);
  for (const bad of [outcomes[1], outcomes[3]]) {
    assert.match(
      bad,
      /^ERR_SLUICE_INVALID_VALUE .*the call of "wide" was answered by what cannot be decoded/,
    );
  }
  await assertNothingIsLeft(broker);
  assert.equal(await narrow.run(({ state }) => state.broker.pendingCount), 0);
});
