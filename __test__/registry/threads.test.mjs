// One registry in many threads: every thread reads the same values and receives all changes in order.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { freshName, gate, runInAll, startPeers } from '../helpers/peer.mjs';

const { Registry } = sluice;

const open = ({ load, state }, name) => {
  state.registry = new (load().Registry)(name);
};

/** Makes the peer collect the changes that it receives. */
const listen = ({ state }) => {
  state.changes = [];
  state.registry.on('change', (change) => state.changes.push(change));
};

/** The changes that the peer has received, once that of `version` has arrived. */
const changesUpTo = async ({ state }, version) => {
  while ((state.changes.at(-1)?.version ?? 0) < version) await new Promise(setImmediate);
  return state.changes;
};

async function shared(t, count) {
  const peers = startPeers(t, count);
  const name = freshName();
  await runInAll(peers, open, name);
  return { peers, registry: new Registry(name) };
}

test('a value set in one thread is read in all', async (t) => {
  const { peers, registry } = await shared(t, 3);
  registry.set('flags', { beta: true, share: 0.5, tags: ['a', 'b'], big: 2n ** 80n });
  const read = ({ state }, key) => state.registry.get(key);
  const expected = { beta: true, share: 0.5, tags: ['a', 'b'], big: 2n ** 80n };
  assert.deepEqual(await runInAll(peers, read, 'flags'), [expected, expected, expected]);
  await peers[0].run(({ state }) => state.registry.set('flags', 'none'));
  assert.deepEqual([registry.get('flags'), ...(await runInAll(peers, read, 'flags'))], Array(4).fill('none'));
  await peers[1].run(({ state }) => state.registry.delete('flags'));
  assert.deepEqual(
    [registry.get('flags'), ...(await runInAll(peers, read, 'flags'))],
    Array(4).fill(undefined),
  );
});

test('four threads lose no update: 4 × 5000 increments make 20 000', async (t) => {
  const { peers, registry } = await shared(t, 4);
  await runInAll(
    peers,
    ({ meet, state }, start) => {
      meet(start);
      for (let i = 0; i < 5000; i++) state.registry.update('count', (count = 0) => count + 1);
    },
    gate(4),
  );
  assert.equal(registry.get('count'), 20_000);
  assert.equal(registry.version, 20_000, 'each update is one change');
});

test('setIfAbsent() of a key succeeds in exactly one of four threads', async (t) => {
  const { peers, registry } = await shared(t, 4);
  const won = await runInAll(
    peers,
    ({ meet, state, require }, start) => {
      const { threadId } = require('node:worker_threads');
      const won = [];
      meet(start);
      for (let i = 0; i < 1000; i++) if (state.registry.setIfAbsent(`key ${i}`, threadId)) won.push(i);
      return won;
    },
    gate(4),
  );
  assert.equal(won.flat().length, 1000);
  won.forEach((keys, index) => {
    for (const key of keys) assert.equal(registry.get(`key ${key}`), peers[index].threadId);
  });
});

test('a snapshot never mixes two replaceAll() calls', async (t) => {
  const { peers, registry } = await shared(t, 2);
  const [writer, reader] = peers;
  const KEYS = 20;
  registry.replaceAll(Array.from({ length: KEYS }, (_, i) => [`key ${i}`, 0]));
  const start = gate(2);
  const ENOUGH = 11;
  /** Whether the writer is done, and how many versions the reader has seen. */
  const words = new Int32Array(new SharedArrayBuffer(8));
  const [, seen] = await Promise.all([
    writer.run(
      ({ meet, state }, { start, words, KEYS, ENOUGH }) => {
        meet(start);
        // A busy machine may run the reader later.
        for (let round = 1; round <= 3000 || Atomics.load(words, 1) < ENOUGH; round++) {
          state.registry.replaceAll(Array.from({ length: KEYS }, (_, i) => [`key ${i}`, round]));
        }
        Atomics.store(words, 0, 1);
      },
      { start, words, KEYS, ENOUGH },
    ),
    reader.run(
      ({ meet, state }, { start, words, KEYS }) => {
        const seen = new Set();
        let last = -1;
        meet(start);
        while (Atomics.load(words, 0) === 0) {
          const snapshot = state.registry.snapshot();
          const rounds = new Set(snapshot.values());
          if (rounds.size !== 1 || snapshot.size !== KEYS) throw new Error(`mixed: ${[...rounds]}`);
          const [round] = rounds;
          if (round < last) throw new Error(`${round} after ${last}`);
          last = round;
          seen.add(round);
          Atomics.store(words, 1, seen.size);
        }
        return seen.size;
      },
      { start, words, KEYS },
    ),
  ]);
  assert.ok(seen >= ENOUGH, `the reader saw ${seen} versions`);
});

test('every thread receives every change in order', async (t) => {
  const { peers, registry } = await shared(t, 3);
  await runInAll(peers, listen);
  await runInAll(
    peers,
    ({ meet, state, require }, start) => {
      const { threadId } = require('node:worker_threads');
      meet(start);
      for (let i = 0; i < 200; i++) state.registry.set(`key ${threadId}`, i);
    },
    gate(3),
  );
  assert.equal(registry.version, 600);
  for (const changes of await runInAll(peers, changesUpTo, 600)) {
    assert.deepEqual(
      changes.map(({ version }) => version),
      Array.from({ length: 600 }, (_, i) => i + 1),
    );
    for (const { threadId } of peers) {
      assert.equal(changes.filter(({ key }) => key === `key ${threadId}`).length, 200);
    }
  }
});

test('a blocked thread keeps the newest 1024 changes; the first reports how many it missed', async (t) => {
  const { peers, registry } = await shared(t, 1);
  const [peer] = peers;
  await peer.run(listen);
  const words = new Int32Array(new SharedArrayBuffer(8));
  const blocked = peer.run((_, words) => {
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
    Atomics.wait(words, 1, 0);
  }, words);
  await Atomics.waitAsync(words, 0, 0).value;
  for (let i = 1; i <= 1500; i++) registry.set('key', i);
  Atomics.store(words, 1, 1);
  Atomics.notify(words, 1);
  await blocked;
  const changes = await peer.run(changesUpTo, 1500);
  assert.deepEqual(changes[0], { key: 'key', version: 1500 - 1024 + 1, missed: 1500 - 1024 });
  assert.equal(changes.length, 1024);
  assert.ok(changes.slice(1).every(({ missed }) => missed === undefined));

  registry.set('key', 'after');
  assert.deepEqual((await peer.run(changesUpTo, 1501)).at(-1), { key: 'key', version: 1501 });
});

test('a listener does not keep its thread alive', async (t) => {
  const { peers, registry } = await shared(t, 1);
  await peers[0].run(listen);
  peers[0].run(({ require }) => require('node:worker_threads').parentPort.unref());
  await peers[0].exited;
  registry.set('key', 'after the listener ended');
});
