// Bans on servers that act as one: the node of a cluster that keeps them is found, and a failover loses none that were
// replicated.
import assert from 'node:assert/strict';
import test from 'node:test';
import { startMachine } from '../helpers/banning.mjs';
import { freshName } from '../helpers/peer.mjs';
import { withRedis } from '../helpers/redis.mjs';
import { startCluster, startWatched } from '../helpers/redis-groups.mjs';

const CLIENT = '203.0.113.7';

test('bans of a cluster are on one node, which each process finds', withRedis, async (t) => {
  const cluster = await startCluster(t);
  const name = freshName();
  // Each knows another node first.
  const [first, second] = await Promise.all(
    [0, 1].map((n) => startMachine(t, name, { scope: { redis: { nodes: [cluster.urls[n]] } } })),
  );
  await first.call('ban', CLIENT, { duration: '1h' });
  assert.equal((await second.heard('ban', CLIENT)).by, 'fleet');
  await second.call('unban', CLIENT);
  await first.until(false, CLIENT);

  await first.call('ban', '10.0.0.1', { duration: '1h' });
  await first.sent();
  const slot = await cluster.slotOf(`sluice:1b:{b:${name}}:bans`);
  const from = await cluster.ownerOf(slot);
  const to = cluster.nodes.find((node) => node !== from);
  await cluster.move(slot, from, to);
  await first.call('ban', '10.0.0.2', { duration: '1h' });
  await second.until(true, '10.0.0.2');
  assert.equal(await second.call('isBanned', '10.0.0.1'), true);
  assert.equal(await to.number('HLEN', `sluice:1b:{b:${name}}:bans`), 4, 'two bans, epoch and version');
});

test('a failover keeps the bans, and those that are made meanwhile', withRedis, async (t) => {
  const { master, replica, urls, giveUp } = await startWatched(t, 'main');
  const scope = { redis: { sentinels: urls, master: 'main' } };
  const name = freshName();
  const [first, second] = await Promise.all([1, 2].map(() => startMachine(t, name, { scope })));
  await first.call('ban', '10.0.0.1', { duration: '1h' });
  await second.until(true, '10.0.0.1');
  await replica.until((reply) => reply.includes('10.0.0.1'), 'HKEYS', `sluice:1b:{b:${name}}:bans`);
  await master.kill();
  await Promise.all([first, second].map((machine) => machine.state('away')));
  await first.call('ban', '10.0.0.2', { duration: '1h' });
  await giveUp();
  await second.until(true, '10.0.0.2');
  assert.equal(await first.call('isBanned', '10.0.0.1'), true);
  assert.match(await replica.command('ROLE'), /master/);
});
