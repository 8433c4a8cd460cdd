// One initialiser at a time across all threads, also when the thread that runs it ends.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { nested } from '../helpers/nested.mjs';
import { freshName, gate, Peer, runInAll, startPeers } from '../helpers/peer.mjs';
import { until } from '../helpers/sockets.mjs';

const { ClientHub } = sluice;

const open = ({ load, state }, name) => {
  state.hub = new (load().ClientHub)(name);
};

/** Starts an initialiser that counts itself and never settles. */
const hang = ({ state }, runs) => {
  const init = () => {
    Atomics.add(runs, 0, 1);
    return new Promise(() => {});
  };
  // The test terminates this thread; the rejection is not observed.
  state.hub.getOrInit('key', init).catch(() => {});
};

/** The outcome of a call whose own initialiser would return `made`. */
const ask = async ({ state }, { runs, made }) => {
  const init = async () => {
    if (runs !== undefined) Atomics.add(runs, 0, 1);
    return made;
  };
  try {
    return await state.hub.getOrInit('key', init, { timeout: '1h' });
  } catch (error) {
    const { name, message, code, cause } = error;
    return { name, message, code, cause: cause?.message, isError: error instanceof Error };
  }
};

async function shared(t, count) {
  const name = freshName();
  const hub = new ClientHub(name);
  const peers = startPeers(t, count);
  await runInAll(peers, open, name);
  return { name, hub, peers };
}

const counter = () => new Int32Array(new SharedArrayBuffer(4));

/** Polls until no call is pending and no initialiser runs. */
async function isIdle(hub) {
  await until(() => hub.stats().waiting + hub.stats().initialising, 0);
}

test('eight threads that get the same 1000 keys run exactly 1000 initialisers', async (t) => {
  const { hub, peers } = await shared(t, 8);
  const runs = counter();
  const sums = await runInAll(
    peers,
    async ({ meet, state }, { start, runs }) => {
      meet(start);
      let sum = 0;
      for (let round = 0; round < 1000; round++) {
        const init = async () => {
          Atomics.add(runs, 0, 1);
          await new Promise(setImmediate);
          // At least in the first round every other thread waits.
          while (round === 0 && state.hub.stats().waiting < 7) await new Promise(setImmediate);
          return { round };
        };
        sum += (await state.hub.getOrInit(`round ${round}`, init)).round;
      }
      return sum;
    },
    { start: gate(8), runs },
  );
  assert.deepEqual(sums, Array(8).fill(499_500));
  const { hits, misses, initialisations } = hub.stats();
  assert.deepEqual([Atomics.load(runs, 0), initialisations, hits + misses], [1000, 1000, 8000]);
  assert.ok(misses >= 1007, `${misses - 1000} calls waited for another thread`);
  await isIdle(hub);
});

test('a failure rejects pending calls of every thread with an equal error', async (t) => {
  const { hub, peers } = await shared(t, 2);
  let fail;
  const own = hub.getOrInit('key', () => new Promise((_, reject) => (fail = reject)));
  const asked = runInAll(peers, ask, { made: 'not made' });
  await until(() => hub.stats().waiting, 2);
  const error = Object.assign(new RangeError('too far', { cause: new Error('the map') }), { code: 'EFAR' });
  fail(error);
  await assert.rejects(own, (thrown) => thrown === error);
  const like = { name: 'RangeError', message: 'too far', code: 'EFAR', cause: 'the map', isError: true };
  assert.deepEqual(await asked, [like, like]);
  assert.equal(await peers[0].run(ask, { made: 'anew' }), 'anew');
  await isIdle(hub);
});

test('an invalid value rejects pending calls of every thread', async (t) => {
  const { hub, peers } = await shared(t, 1);
  let make;
  const own = hub.getOrInit('key', () => new Promise((resolve) => (make = resolve)));
  const asked = peers[0].run(ask, {});
  await until(() => hub.stats().waiting, 1);
  make(undefined);
  await assert.rejects(own, { code: 'ERR_SLUICE_INVALID_VALUE' });
  const { name, code } = await asked;
  assert.deepEqual([name, code], ['SluiceError', 'ERR_SLUICE_INVALID_VALUE']);
});

test('get() before the delivery of a value returns the object that the pending call resolves with', async (t) => {
  const { hub, peers } = await shared(t, 1);
  const words = counter();
  let make;
  const own = hub.getOrInit('key', () => new Promise((resolve) => (make = resolve)));
  const same = peers[0].run(async ({ state }, words) => {
    const waiting = state.hub.getOrInit('key', () => 'not made');
    Atomics.wait(words, 0, 0);
    const read = state.hub.get('key');
    return read !== undefined && read === (await waiting);
  }, words);
  await until(() => hub.stats().waiting, 1);
  make({ made: 'once' });
  await own;
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
  assert.equal(await same, true);
});

test('when the leader’s thread is terminated, a pending call of another thread takes over', async (t) => {
  const { name, hub, peers } = await shared(t, 3);
  const ROUNDS = 20;
  const runs = counter();
  for (let round = 0; round < ROUNDS; round++) {
    const leader = new Peer();
    await leader.run(open, name);
    await leader.run(hang, runs);
    const asked = runInAll(peers, ask, { runs, made: `round ${round}` });
    await until(() => hub.stats().waiting, 3);
    await leader.end();
    assert.deepEqual(await asked, Array(3).fill(`round ${round}`));
    hub.invalidate('key');
  }
  const { initialisations, handovers } = hub.stats();
  assert.deepEqual([Atomics.load(runs, 0), initialisations, handovers], [2 * ROUNDS, 2 * ROUNDS, ROUNDS]);
  await isIdle(hub);
});

test('threads that end at random moments leave no pending calls and no running initialisers', async (t) => {
  const { name, hub, peers } = await shared(t, 3);
  const doomed = startPeers(t, 5);
  await runInAll(doomed, open, name);
  const work = async ({ state }, rounds) => {
    for (let round = 0; round < rounds; round++) {
      const init = async () => {
        await new Promise(setImmediate);
        return round;
      };
      const made = await state.hub.getOrInit(`round ${round % 50}`, init);
      if (made % 50 !== round % 50) throw new Error(`${made} in round ${round}`);
      if (round % 3 === 0) state.hub.invalidate(`round ${(round + 7) % 50}`);
    }
    return rounds;
  };
  for (const peer of doomed) peer.run(work, Number.MAX_SAFE_INTEGER);
  const survivors = runInAll(peers, work, 2000);
  for (const peer of doomed) {
    await new Promise((done) => setTimeout(done, 10 * Math.random()));
    await peer.end();
  }
  assert.deepEqual(await survivors, [2000, 2000, 2000]);
  await isIdle(hub);
});

test('past the leader’s timeout a pending call of another thread takes over', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const { hub, peers } = await shared(t, 1);
  const led = peers[0].run(({ state }) =>
    state.hub.getOrInit('key', () => new Promise(() => {}), { timeout: '5s' }),
  );
  await until(() => hub.stats().initialising, 1);
  const own = hub.getOrInit('key', async () => 'taken over');
  clock.advance('5s');
  assert.equal(await own, 'taken over');
  await assert.rejects(led, { code: 'ERR_SLUICE_TIMEOUT' });
  await isIdle(hub);
});

test('past its timeout a leader is replaced even if its thread is blocked', async (t) => {
  const clock = testing.manualClock();
  t.after(() => clock.restore());
  const { hub, peers } = await shared(t, 1);
  const words = counter();
  const led = peers[0].run(({ state }, words) => {
    const block = async () => {
      Atomics.wait(words, 0, 0);
      return 'too late';
    };
    return state.hub.getOrInit('key', block, { timeout: '5s' });
  }, words);
  await until(() => hub.stats().initialising, 1);
  const own = hub.getOrInit('key', async () => 'taken over');
  clock.advance('5s');
  assert.equal(await own, 'taken over');
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
  await assert.rejects(led, { code: 'ERR_SLUICE_TIMEOUT' });
  assert.deepEqual([hub.get('key'), hub.stats().timeouts, hub.stats().handovers], ['taken over', 1, 1]);
  await isIdle(hub);
});

test('destroy() rejects the pending calls of every thread', async (t) => {
  const { name, hub, peers } = await shared(t, 3);
  const asked = runInAll(peers, ask, { made: 'made' });
  const own = hub.getOrInit('other', () => new Promise(() => {}));
  await asked;
  await runInAll(peers, ({ state }) => {
    state.pending = state.hub.getOrInit('other', () => 1);
    state.pending.catch(() => {});
  });
  await until(() => hub.stats().waiting, 3);
  ClientHub.destroy(name);
  await assert.rejects(own, { code: 'ERR_SLUICE_CLOSED' });
  for (const peer of peers) {
    await assert.rejects(
      peer.run(({ state }) => state.pending),
      { code: 'ERR_SLUICE_CLOSED' },
    );
  }
});

test('a pending call that is due to check its leader rejects with CLOSED after destroy()', async () => {
  const name = freshName();
  const hub = new ClientHub(name);
  const never = () => new Promise(() => {});
  const leader = hub.getOrInit('key', never, { timeout: 50 });
  const waiter = hub.getOrInit('key', never);
  ClientHub.destroy(name);
  // Blocks until the timers of both calls are due, before any delivery.
  Atomics.wait(counter(), 0, 0, 60);
  const codes = (await Promise.allSettled([leader, waiter])).map(({ reason }) => reason.code);
  assert.ok(['ERR_SLUICE_TIMEOUT', 'ERR_SLUICE_CLOSED'].includes(codes[0]), codes[0]);
  assert.equal(codes[1], 'ERR_SLUICE_CLOSED');
});

test('a value that is nested too deeply rejects all pending calls', async (t) => {
  const { hub, peers } = await shared(t, 1);
  let make;
  const own = hub.getOrInit('key', () => new Promise((resolve) => (make = resolve)));
  const elsewhere = peers[0].run(ask, {});
  await until(() => hub.stats().waiting, 1);
  make(nested(2500, 'arrays'));
  await assert.rejects(own, { code: 'ERR_SLUICE_INVALID_VALUE' });
  assert.equal((await elsewhere).code, 'ERR_SLUICE_INVALID_VALUE');
});

/** Runs one of the scenarios of `hub-process.cjs` and returns its output. Fails unless the process exits by itself. */
async function outputOf(scenario) {
  const file = fileURLToPath(new URL('../helpers/hub-process.cjs', import.meta.url));
  const options = { timeout: 300_000, killSignal: 'SIGKILL' };
  return (await promisify(execFile)(process.execPath, [file, scenario], options)).stdout.trim();
}

test('a hub without pending calls does not keep a process alive', async () => {
  assert.equal(await outputOf('kept'), 'kept');
  assert.equal(await outputOf('refreshing'), 'stale', 'a background refresh does not keep the process alive');
  assert.equal(await outputOf('aborted'), 'aborted');
});

test('a pending call keeps its thread alive until it settles', async () => {
  assert.equal(await outputOf('waiting'), 'made by the other');
  assert.equal(await outputOf('overdue'), 'ERR_SLUICE_TIMEOUT', 'nothing else keeps the process alive');
});
