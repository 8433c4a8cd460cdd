// Threads that attach to what another one is opening, and destroy it meanwhile.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { RULES } from '../helpers/banning.mjs';
import { until } from '../helpers/connecting.mjs';
import { freshName, startPeers } from '../helpers/peer.mjs';
import { startRedis, withRedis } from '../helpers/redis.mjs';
import { listed, threadsNamed } from '../helpers/threads.mjs';

const ROUNDS = 400;

/** How often another thread, which attaches while this one opens, counts in the process alone. */
async function aloneOf(t, kind, { method, ...options }) {
  const redis = await startRedis(t);
  const name = freshName();
  const round = new Int32Array(new SharedArrayBuffer(8));
  const [peer] = startPeers(t, 1);
  await peer.run(({ load }) => typeof load());
  const attaching = peer.run(
    ({ load }, { kind, method, name, rounds, round }) => {
      const Attached = load()[kind];
      let alone = 0;
      for (let n = 1; n <= rounds; n += 1) {
        while (Atomics.load(round, 0) < n);
        let attached;
        while (attached === undefined) {
          try {
            attached = new Attached(`${name}-${n}`);
          } catch {
            // Not there yet.
          }
        }
        try {
          attached[method]('203.0.113.7');
          alone += 1;
        } catch (error) {
          // A synchronous call cannot await the server.
          if (error.code !== 'ERR_SLUICE_UNSUPPORTED') throw error;
        }
        Atomics.store(round, 1, n);
      }
      return alone;
    },
    { kind, method, name, rounds: ROUNDS, round },
  );
  for (let n = 1; n <= ROUNDS; n += 1) {
    Atomics.store(round, 0, n);
    const due = process.hrtime.bigint() + BigInt(Math.floor(Math.random() * 200_000));
    while (process.hrtime.bigint() < due);
    new sluice[kind](`${name}-${n}`, { ...options, scope: { redis: redis.url } });
    while (Atomics.load(round, 1) < n);
    sluice[kind].destroy(`${name}-${n}`);
  }
  return attaching;
}

test('a thread that attaches to a tracker while it is opened counts in the fleet', withRedis, async (t) => {
  assert.equal(await aloneOf(t, 'ConnectionTracker', { method: 'tryOpen', max: 5 }), 0);
});

test('a thread that attaches to a limiter while it is opened counts in the fleet', withRedis, async (t) => {
  assert.equal(await aloneOf(t, 'RateLimiter', { method: 'tryConsume', limit: 5, window: '1h' }), 0);
});

const withThreads = { skip: withRedis.skip ?? listed.skip };

/** Another thread opens instances while this one destroys them. */
async function destroyWhileOpened(t, kind, options) {
  const redis = await startRedis(t);
  const name = freshName();
  const [peer] = startPeers(t, 1);
  await peer.run(({ load }) => typeof load());
  const round = new Int32Array(new SharedArrayBuffer(8));
  const opening = peer.run(
    ({ load }, { kind, name, options, rounds, round }) => {
      const Opened = load()[kind];
      for (let n = 1; n <= rounds; n += 1) {
        while (Atomics.load(round, 0) < n);
        try {
          new Opened(`${name}-${n}`, options);
        } catch {
          // It was destroyed before its constructor returned.
        }
        Atomics.store(round, 1, n);
      }
    },
    { kind, name, options: { ...options, scope: { redis: redis.url } }, rounds: ROUNDS, round },
  );
  for (let n = 1; n <= ROUNDS; n += 1) {
    Atomics.store(round, 0, n);
    while (!sluice[kind].destroy(`${name}-${n}`));
    while (Atomics.load(round, 1) < n);
  }
  await opening;
}

test(
  'a tracker that is destroyed while it is opened leaves no connection to the server',
  withThreads,
  async (t) => {
    await destroyWhileOpened(t, 'ConnectionTracker', { max: 5 });
    await until(() => threadsNamed('sluice-connect') === 0);
  },
);

test(
  'a reputation that is destroyed while it is opened leaves no connection to the server',
  withThreads,
  async (t) => {
    await destroyWhileOpened(t, 'Reputation', RULES);
    await until(() => threadsNamed('sluice-bans') === 0);
  },
);
