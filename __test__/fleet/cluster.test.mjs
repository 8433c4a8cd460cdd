// A real cluster: each key is counted by one node, exactly, also while slots move, and a node that is lost costs its keys only.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';
import { freePort, startRedis, withRedis } from '../helpers/redis.mjs';
import { isReplicated, startCluster } from '../helpers/redis-groups.mjs';

const { RateLimiter } = sluice;

const clients = (count) => Array.from({ length: count }, (_, n) => `client ${n}`);

function open(nodes, { limit = 1000, ...scope } = {}, name = freshName()) {
  const given = { redis: { nodes }, onError: 'deny', timeout: '5s', ...scope };
  return new RateLimiter(name, { limit, window: '30d', scope: given });
}

/** Calls for each key, so many in flight in all; how many were admitted by key, and how many the cluster did not decide. */
async function callAll(limiter, keys, calls, inFlight) {
  const admitted = new Map(keys.map((key) => [key, 0]));
  let degraded = 0;
  let next = 0;
  const loop = async () => {
    while (next < keys.length * calls) {
      const key = keys[next++ % keys.length];
      const decision = await limiter.consumeAsync(key);
      if (decision.allowed) admitted.set(key, admitted.get(key) + 1);
      if (decision.degraded) degraded += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  return { admitted: [...admitted.values()], degraded };
}

/** The key of a client on the cluster, by its slot and the node that has it. */
async function placeOf(cluster, prefix, client) {
  for (const node of cluster.nodes) {
    const keys = await node.command('KEYS', `${prefix}*:${client}`);
    const [, key] = new RegExp(`(${prefix}\\S.*)\\r\\n`).exec(keys) ?? [];
    if (key === undefined) continue;
    const slot = await cluster.slotOf(key);
    return { slot, owner: await cluster.ownerOf(slot) };
  }
}

test('keys spread over the nodes, each counted exactly', withRedis, async (t) => {
  const cluster = await startCluster(t);
  const limiter = open(cluster.urls.slice(1), { limit: 5, prefix: 'spread:' });
  await limiter.ready({ timeout: '20s' });
  const { admitted, degraded } = await callAll(limiter, clients(200), 8, 100);
  assert.deepEqual([...new Set(admitted)], [5]);
  assert.equal(degraded, 0);
  const { fleet } = limiter.stats();
  assert.deepEqual(
    fleet.nodes.map(({ state }) => state),
    ['ready', 'ready', 'ready'],
  );
  assert.match(fleet.server, /^cluster 127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+$/);
  for (const node of cluster.nodes) assert.match(await node.command('KEYS', 'spread:*'), /^\*[1-9]/);
  // Every other operation goes to the node of its key as well.
  await limiter.blockAsync('client 1', '1m');
  assert.equal((await limiter.peekAsync('client 1')).allowed, false);
  assert.equal(await limiter.resetAsync('client 1'), true);
  assert.equal((await limiter.peekAsync('client 1')).remaining, 5);
});

test('a slot that moves under load: no call fails, none is counted twice', withRedis, async (t) => {
  const cluster = await startCluster(t);
  const limiter = open(cluster.urls, { limit: 30, prefix: 'move:' });
  await limiter.ready({ timeout: '20s' });
  const { slot, owner, clients: moving } = await clientsOfOneSlot(cluster, limiter, 'move:');
  const to = cluster.nodes.find((node) => node !== owner);
  let isOver = false;
  const moved = (async () => {
    let [from, into] = [owner, to];
    while (!isOver) {
      await cluster.move(slot, from, into, () => delay(2));
      [from, into] = [into, from];
    }
  })();
  const totals = new Map(moving.map((client) => [client, 1]));
  let degraded = 0;
  const call = async (calls) => {
    const called = await callAll(limiter, moving, calls, 40);
    for (const [n, client] of moving.entries()) totals.set(client, totals.get(client) + called.admitted[n]);
    degraded += called.degraded;
  };
  for (let rounds = 0; rounds < 5; rounds++) await call(2);
  // Until the nodes have sent calls on in each way.
  for (const way of ['MOVED', 'ASK', 'TRYAGAIN']) {
    while ((await cluster.errors(way)) === 0) {
      await Promise.all(moving.map((client) => limiter.peekAsync(client)));
    }
  }
  isOver = true;
  await moved;
  await call(30);
  assert.deepEqual([...new Set(totals.values())], [30]);
  assert.equal(degraded, 0);
});

/** Clients whose keys are in one slot, each with one unit charged. */
async function clientsOfOneSlot(cluster, limiter, prefix) {
  const names = clients(1000);
  await callAll(limiter, names, 1, 100);
  const { slot, owner } = await placeOf(cluster, prefix, names[0]);
  const keys = await owner.command('CLUSTER', 'GETKEYSINSLOT', slot, 100);
  return { slot, owner, clients: keys.match(/client \d+/g) };
}

test('a user with the rights that the page names, and no others', withRedis, async (t) => {
  const cluster = await startCluster(t);
  // `client|setinfo`, which the page names as well, is known from 7.2 on, and not missed before.
  const rights = '+evalsha +eval +script|load +mget +get +set +del +time +hello +auth +cluster|slots +asking';
  for (const node of cluster.nodes) {
    const user = ['ACL', 'SETUSER', 'limits', 'on', '>hunter2', '~acl:*', ...rights.split(' ')];
    assert.match(await node.command(...user), /^\+OK/);
  }
  const name = freshName();
  const redis = { nodes: cluster.urls, username: 'limits', password: 'hunter2' };
  const scope = { redis, onError: 'deny', timeout: '5s', prefix: 'acl:' };
  const limiter = new RateLimiter(name, { limit: 3, window: '30d', scope });
  await limiter.ready({ timeout: '20s' });
  const { admitted, degraded } = await callAll(limiter, clients(100), 5, 50);
  assert.deepEqual([[...new Set(admitted)], degraded], [[3], 0], limiter.stats().fleet.lastError);
});

test('several processes share the cluster: the quota and not one unit more', withRedis, async (t) => {
  const cluster = await startCluster(t);
  const name = freshName();
  const scope = { redis: { nodes: cluster.urls }, timeout: '20s', onError: 'deny' };
  const { execFile } = await import('node:child_process');
  const { promisify } = await import('node:util');
  const file = new URL('../helpers/fleet-process.cjs', import.meta.url).pathname;
  const task = { name, scope, limit: 1000, calls: 1000, inFlight: 20, threads: 2 };
  const ended = [1, 2, 3].map(() => promisify(execFile)(process.execPath, [file, JSON.stringify(task)]));
  const totals = (await Promise.all(ended)).map(({ stdout }) => JSON.parse(stdout));
  assert.equal(
    totals.reduce((sum, { admitted }) => sum + admitted, 0),
    1000,
  );
  assert.equal(
    totals.reduce((sum, { degraded }) => sum + degraded, 0),
    0,
  );
});

test('a node that is killed costs its own keys only; a replica takes its place', withRedis, async (t) => {
  const cluster = await startCluster(t, { replica: true });
  const [first, ...running] = cluster.nodes;
  const limiter = open(cluster.urls, { timeout: '10s', prefix: 'kill:' });
  await limiter.ready({ timeout: '20s' });
  const keys = clients(64);
  // One that is not decided in time is not charged.
  for (const key of keys) while ((await limiter.consumeAsync(key)).source !== 'redis');
  await isReplicated(first);
  const lost = [];
  for (const key of keys) if ((await placeOf(cluster, 'kill:', key)).owner === first) lost.push(key);
  assert.ok(lost.length > 0 && lost.length < keys.length);

  await first.kill();
  for (const key of lost.slice(0, 3)) assert.equal((await limiter.consumeAsync(key)).source, 'deny');
  const others = keys.filter((key) => !lost.includes(key)).slice(0, 10);
  for (const key of others) assert.equal((await limiter.consumeAsync(key)).source, 'redis');
  assert.equal(limiter.stats().fleet.state, 'away');

  await cluster.giveUpAfter(1000, running);
  await limiter.ready({ timeout: '30s' });
  let known;
  do known = await limiter.peekAsync(lost[0]);
  while (known.degraded);
  assert.equal(known.remaining, 999, 'what was replicated is there');
  const servers = limiter.stats().fleet.nodes.map(({ server }) => server);
  assert.ok(
    servers.includes(`127.0.0.1:${running[2].port}/0`) && !servers.includes(`127.0.0.1:${first.port}/0`),
  );
});

test('one node that answers is enough to find the others, and a replica can tell', withRedis, async (t) => {
  const cluster = await startCluster(t, { replica: true });
  const replica = cluster.nodes[3];
  for (const seeds of [[`redis://127.0.0.1:${await freePort()}`, cluster.urls[2]], [replica.url]]) {
    const limiter = open(seeds);
    const { admitted, degraded } = await callAll(limiter, clients(50), 1, 50);
    assert.deepEqual([[...new Set(admitted)], degraded], [[1], 0]);
  }
});

test('what is no cluster is named as such, in both directions', withRedis, async (t) => {
  const redis = await startRedis(t);
  const none = open([redis.url.replace('//', '//:hunter2@')], { timeout: '20s' });
  assert.equal((await none.consumeAsync('a')).source, 'deny');
  assert.doesNotMatch(JSON.stringify(none.stats()), /hunter2/);
  const plain = open([redis.url], { timeout: '20s' });
  assert.equal((await plain.consumeAsync('a')).source, 'deny');
  assert.match(
    plain.stats().fleet.lastError,
    /does not say how its cluster is divided: .*cluster support disabled/,
  );

  const cluster = await startCluster(t);
  const scope = { redis: cluster.urls[0], onError: 'deny', timeout: '5s' };
  const one = new RateLimiter(freshName(), { limit: 1000, window: '30d', scope });
  const { degraded } = await callAll(one, clients(100), 1, 10);
  assert.ok(degraded > 0);
  assert.match(one.stats().fleet.lastError, /is a node of a cluster; accepted for one: `nodes`/);
});
