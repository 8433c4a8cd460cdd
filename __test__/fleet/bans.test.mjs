// Bans that machines share: told to all within a second, known at the start, and the same everywhere in the end.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { RULES, startMachine } from '../helpers/banning.mjs';
import { until } from '../helpers/connecting.mjs';
import { lateness } from '../helpers/fleet-lateness.mjs';
import { freshName } from '../helpers/peer.mjs';
import { freePort, startRedis, withRedis } from '../helpers/redis.mjs';
import { listed, sockets } from '../helpers/threads.mjs';

const { createGuard, Reputation, SecurityMonitor } = sluice;

const CLIENT = '203.0.113.7';
const SECOND = 1000;

/** So many machines that share one reputation on a server. */
async function fleet(t, redis, count, options) {
  const name = freshName();
  const scope = { redis: redis.url };
  const start = (more) => startMachine(t, name, { scope, ...options, ...more });
  const machines = await Promise.all(Array.from({ length: count }, () => start()));
  return { name, scope, machines, start };
}

test('a ban and its end by unban are in force on all machines within a second', withRedis, async (t) => {
  const redis = await startRedis(t);
  const { machines } = await fleet(t, redis, 2);
  const [first, second] = machines;
  const late = lateness();
  const banned = await first.timed('ban', CLIENT, { duration: '1h', reason: 'abuse' });
  assert.equal(banned.result, true);
  const heard = await second.heard('ban', CLIENT);
  assert.deepEqual([heard.by, heard.reason, heard.extended], ['fleet', 'abuse', false]);
  assert.equal(await second.call('isBanned', CLIENT), true);
  const own = await first.heard('ban', CLIENT);
  assert.equal(own.by, 'manual');

  const lifted = await second.timed('unban', CLIENT);
  assert.equal(lifted.result, true);
  const gone = await first.heard('unban', CLIENT);
  const most = SECOND + late.end();
  assert.ok(heard.at - banned.at < most, `${heard.at - banned.at} ms until the ban was there`);
  assert.ok(Math.abs(heard.until - own.until) < most, 'it ends at the same time');
  assert.ok(gone.at - lifted.at < most, `${gone.at - lifted.at} ms until it was lifted`);
  assert.equal(await first.call('isBanned', CLIENT), false);
  // Nothing comes back: what a machine hears, it does not tell.
  await Promise.all(machines.map((machine) => machine.heard('unban', CLIENT)));
  await Promise.all(machines.map((machine) => machine.sent()));
  const kinds = machines.map(({ events }) => events.map(({ event }) => event));
  assert.deepEqual(kinds, [
    ['ban', 'unban'],
    ['ban', 'unban'],
  ]);
});

test('ranges and permanent bans are shared', withRedis, async (t) => {
  const redis = await startRedis(t);
  const { machines, start } = await fleet(t, redis, 1);
  await machines[0].call('ban', '198.51.100.0/24', { duration: Number.POSITIVE_INFINITY });
  await machines[0].call('ban', '2001:db8::5', { duration: '1h' });
  await machines[0].sent();
  const late = await start();
  assert.equal(await late.call('isBanned', '2001:db8::77'), true, 'the client is the whole prefix');
  assert.equal((await late.call('check', '198.51.100.9')).until, Number.POSITIVE_INFINITY);
  assert.equal(await redis.number('TTL', await keyOf(redis)), -1, 'kept while a ban has no end');
  assert.equal(await late.call('unban', '198.51.100.0/24'), true);
  await machines[0].until(false, '198.51.100.9');
  const ttl = await redis.number('TTL', await keyOf(redis));
  assert.ok(ttl > 86_400 && ttl <= 86_400 + 3600, `${ttl} s: a day longer than the last ban`);
});

/** The key of the bans on a server. */
async function keyOf(redis) {
  return /\r\n(sluice:1b:.*:bans)\r\n/.exec(await redis.command('KEYS', '*:bans'))[1];
}

test('a machine that joins late knows the bans once it is ready', withRedis, async (t) => {
  const redis = await startRedis(t);
  const { machines, start } = await fleet(t, redis, 1);
  const clients = Array.from({ length: 1500 }, (_, n) => `10.1.${n >> 8}.${n & 255}`);
  for (const client of clients) await machines[0].call('ban', client, { duration: '1h', reason: client });
  await machines[0].sent();
  machines[0].kill();
  const late = await start();
  const bans = await late.call('bans');
  assert.deepEqual(bans.map(({ client }) => client).sort(), clients.sort());
  assert.ok(bans.every(({ client, reason }) => reason === client));
  assert.equal((await late.call('stats')).fleet.bans, clients.length);
});

test('past bans are shared: the next ban is longer on any machine', withRedis, async (t) => {
  const redis = await startRedis(t);
  const { machines } = await fleet(t, redis, 2);
  const [first, second] = machines;
  const fail = (machine) => machine.call('recordFailure', CLIENT, { weight: 5 });
  assert.equal((await fail(first)).bans, 1);
  await second.until(true, CLIENT);
  await second.call('unban', CLIENT);
  await first.until(false, CLIENT);
  const { bans, retryAfterMs } = await fail(second);
  assert.equal(bans, 2);
  assert.equal(Math.round(retryAfterMs / 60_000), 20);
});

test('failures of all machines together ban, once', withRedis, async (t) => {
  const redis = await startRedis(t);
  const { machines } = await fleet(t, redis, 3);
  for (let n = 0; n < 5; n++) {
    const { banned } = await machines[n % 3].call('recordFailure', CLIENT, { reason: 'password' });
    assert.equal(banned, false, 'no machine has seen five');
  }
  for (const machine of machines) await machine.until(true, CLIENT);
  for (const machine of machines) await machine.heard('ban', CLIENT);
  const verdict = await machines[0].call('check', CLIENT);
  assert.deepEqual([verdict.bans, verdict.reason], [1, 'password']);
  const causes = machines.map(({ events }) => events.map(({ by }) => by));
  assert.deepEqual(causes.flat().sort(), ['failures', 'fleet', 'fleet']);
});

test('a ban uses up the failures of all machines', withRedis, async (t) => {
  const redis = await startRedis(t);
  const { machines } = await fleet(t, redis, 2);
  const [first, second] = machines;
  await second.call('recordFailure', CLIENT, { weight: 4 });
  await redis.until((reply) => reply.startsWith('*1'), 'KEYS', '*failures*');
  await first.call('recordFailure', CLIENT);
  await second.until(true, CLIENT);
  await first.call('unban', CLIENT);
  await second.until(false, CLIENT);
  assert.equal((await second.call('check', CLIENT)).failures, 0);
});

test('no failures stay on the server that have led to a ban', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  const reputation = new Reputation(name, { ...RULES, scope: { redis: redis.url } });
  t.after(() => Reputation.destroy(name));
  await reputation.ready();
  for (let n = 0; n < 20; n++) {
    for (let failures = 0; failures < 5; failures++) reputation.recordFailure(`10.3.0.${n}`);
  }
  while (reputation.stats().fleet.sent < 20) await turn();
  // The next answer comes after those of all failures.
  reputation.ban(CLIENT, { duration: '1h' });
  while (reputation.stats().fleet.sent < 21) await turn();
  assert.match(await redis.command('KEYS', '*failures*'), /^\*0/);
});

test('bans that have ended do not count', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  const reputation = new Reputation(name, { ...RULES, scope: { redis: redis.url } });
  t.after(() => Reputation.destroy(name));
  await reputation.ready();
  reputation.ban(CLIENT, { duration: '5s' });
  await until(() => reputation.stats().fleet.bans === 1);
  await until(() => reputation.stats().fleet.bans === 0);
});

test('destroy ends what awaits the bans', async () => {
  const name = freshName();
  const scope = { redis: `redis://127.0.0.1:${await freePort()}` };
  const reputation = new Reputation(name, { ...RULES, scope });
  for (let n = 0; n < 5; n++) await assert.rejects(reputation.ready({ timeout: 1 }), /not known within/);
  const awaited = assert.rejects(reputation.ready({ timeout: '1h' }), { code: 'ERR_SLUICE_CLOSED' });
  assert.equal(Reputation.destroy(name), true);
  await awaited;
});

test('a success forgets failures on the server too', withRedis, async (t) => {
  const redis = await startRedis(t);
  const { machines } = await fleet(t, redis, 2);
  const [first, second] = machines;
  await first.call('recordFailure', CLIENT, { weight: 4 });
  await redis.until((reply) => reply.startsWith('*1'), 'KEYS', '*failures*');
  await first.call('recordSuccess', CLIENT);
  await redis.until((reply) => reply.startsWith('*0'), 'KEYS', '*failures*');
  await second.call('recordFailure', CLIENT, { weight: 4 });
  await redis.until((reply) => reply.startsWith('*1'), 'KEYS', '*failures*');
  assert.equal(await second.call('isBanned', CLIENT), false);
});

test('without the server bans go on, and are sent when it is back', withRedis, async (t) => {
  const redis = await startRedis(t, { persists: true });
  const { machines } = await fleet(t, redis, 2);
  const [first, second] = machines;
  await first.call('ban', '10.0.0.1', { duration: '1h' });
  await second.until(true, '10.0.0.1');
  await first.sent();
  await redis.kill();
  await Promise.all(machines.map((machine) => machine.state('away')));
  assert.equal(await first.call('ban', '10.0.0.2', { duration: '1h' }), true);
  assert.equal(await second.call('unban', '10.0.0.1'), true);
  assert.deepEqual(
    [await first.call('isBanned', '10.0.0.2'), await second.call('isBanned', '10.0.0.2')],
    [true, false],
  );
  assert.equal((await first.call('stats')).fleet.pending, 1);
  await redis.start();
  await second.until(true, '10.0.0.2');
  await first.until(false, '10.0.0.1');
  await Promise.all(machines.map((machine) => machine.sent()));
  for (const machine of machines) {
    assert.deepEqual(
      (await machine.call('bans')).map(({ client }) => client),
      ['10.0.0.2'],
    );
  }
});

test('a server that has lost its data gets the bans again', withRedis, async (t) => {
  const redis = await startRedis(t);
  const { machines, start } = await fleet(t, redis, 2);
  await machines[0].call('ban', CLIENT, { duration: '1h' });
  await machines[1].until(true, CLIENT);
  await redis.kill();
  await redis.start();
  await Promise.all(machines.map((machine) => machine.sent()));
  const late = await start();
  await late.until(true, CLIENT);
  await redis.command('FLUSHALL');
  // The next change shows that others were lost.
  await machines[0].call('ban', '10.0.0.9', { duration: '1h' });
  await machines[1].until(true, '10.0.0.9');
  const later = await start();
  await later.until(true, CLIENT);
  const kinds = machines[1].events.map(({ event, client }) => `${event} ${client}`);
  assert.deepEqual(kinds, [`ban ${CLIENT}`, 'ban 10.0.0.9'], 'nothing was lifted or extended meanwhile');
});

test('an unban does not lift a longer ban that its machine has not heard of', withRedis, async (t) => {
  const redis = await startRedis(t, { persists: true });
  const { machines } = await fleet(t, redis, 2);
  const [first, second] = machines;
  await first.call('ban', CLIENT, { duration: '1h' });
  await second.until(true, CLIENT);
  await redis.kill();
  await Promise.all(machines.map((machine) => machine.state('away')));
  await first.call('unban', CLIENT);
  await second.call('ban', CLIENT, { duration: '2h' });
  await redis.start();
  await Promise.all(machines.map((machine) => machine.sent()));
  await first.until(true, CLIENT);
  for (const machine of machines) {
    const { retryAfterMs } = await machine.call('check', CLIENT);
    assert.equal(Math.round(retryAfterMs / 3_600_000), 2);
  }
});

/** Fails where a machine follows what the server said before its own change, or does not follow what it said after. */
test('machines that ban and unban one client at once agree in the end', withRedis, async (t) => {
  const redis = await startRedis(t);
  const { machines } = await fleet(t, redis, 3);
  const late = lateness();
  for (let round = 0; round < 100; round++) {
    const client = `10.2.0.${round}`;
    const calls = machines.flatMap((machine, n) =>
      Array.from({ length: 12 }, (_, i) =>
        (i + n) % 2 === 0
          ? machine.call('ban', client, { duration: `${1 + ((i * 7 + n) % 5)}h` })
          : machine.call('unban', client),
      ),
    );
    await Promise.all(calls);
    await Promise.all(machines.map((machine) => machine.sent()));
    // What the last change has published reaches the others after its sender.
    await agreed(machines, client, late);
  }
});

/** Resolves once all machines say the same of a client. A ban ends later where it was told of later. */
async function agreed(machines, client, late) {
  const startedAt = performance.now();
  for (;;) {
    const verdicts = await Promise.all(machines.map((machine) => machine.call('check', client)));
    const ends = verdicts.map(({ until }) => until ?? 0);
    if (Math.max(...ends) - Math.min(...ends) < 2 * SECOND + late.worst) return;
    assert.ok(performance.now() - startedAt < 30 * SECOND, `${client} is banned until ${ends.join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test('clocks of machines that differ by an hour do not matter', withRedis, async (t) => {
  const redis = await startRedis(t);
  const { machines, start } = await fleet(t, redis, 1);
  const ahead = await start({ ahead: 3_600_000 });
  await ahead.call('ban', '10.0.0.1', { duration: '10m' });
  await machines[0].call('ban', '10.0.0.2', { duration: '10m' });
  await machines[0].until(true, '10.0.0.1');
  await ahead.until(true, '10.0.0.2');
  for (const [machine, client] of [
    [machines[0], '10.0.0.1'],
    [ahead, '10.0.0.2'],
  ]) {
    const { retryAfterMs } = await machine.call('check', client);
    assert.ok(retryAfterMs > 590_000 && retryAfterMs < 601_000, `${retryAfterMs} ms`);
  }
});

test('a guard with a scope of the fleet refuses what another machine has banned', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  const scope = { redis: redis.url, timeout: '20s' };
  const guard = createGuard(name, { rateLimit: { limit: 9, window: '1h' }, reputation: RULES, scope });
  await guard.reputation.ready({ timeout: '30s' });
  const machine = await startMachine(t, name, { scope });
  const request = { method: 'GET', url: '/', headers: {}, socket: { remoteAddress: CLIENT } };
  assert.equal((await guard.check(request)).allowed, true);
  await machine.call('ban', CLIENT, { duration: '1h' });
  await until(() => guard.reputation.isBanned(CLIENT));
  // The ban is in force before it is counted.
  await until(() => guard.reputation.stats().fleet.bans === 1);
  assert.equal((await guard.check(request)).status, 403);
  assert.match(guard.metrics(), /sluice_fleet_bans\{guard="[^"]+",reputation="[^"]+"\} 1/);
});

test('bans by rules of a monitor are shared', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  const scope = { redis: redis.url };
  const reputation = new Reputation(name, { ...RULES, scope });
  await reputation.ready();
  const rules = [{ name: 'scan', event: 'probe', count: 1, window: '1m', action: 'ban' }];
  const monitor = new SecurityMonitor(freshName(), { reputation: name, rules });
  const machine = await startMachine(t, name, { scope });
  monitor.record('probe', CLIENT);
  const { by, reason } = await machine.heard('ban', CLIENT);
  assert.deepEqual([by, reason], ['fleet', 'scan']);
});

test('without a server the bans of the process hold, and ready rejects without credentials', async () => {
  const port = await freePort();
  const name = freshName();
  const scope = { redis: `redis://someone:hunter2@127.0.0.1:${port}/3` };
  const reputation = new Reputation(name, { ...RULES, scope });
  assert.equal(reputation.ban(CLIENT, { duration: '1h' }), true);
  assert.equal(reputation.isBanned(CLIENT), true);
  await until(() => reputation.stats().fleet.state === 'away');
  await assert.rejects(reputation.ready({ timeout: 200 }), (error) => {
    assert.equal(error.code, 'ERR_SLUICE_SCOPE_UNAVAILABLE');
    assert.match(
      error.message,
      new RegExp(`127\\.0\\.0\\.1:${port}/3 are not known within 200 ms: .*reached`),
    );
    assert.doesNotMatch(error.message, /hunter2|someone/);
    return true;
  });
  const { fleet } = reputation.stats();
  assert.deepEqual([fleet.pending, fleet.sent, fleet.state], [1, 0, 'away']);
  assert.doesNotMatch(JSON.stringify(fleet), /hunter2|someone/);
  const other = { ...RULES, scope: { redis: 'redis://127.0.0.1:1/4' } };
  assert.throws(
    () => new Reputation(name, other),
    (error) => {
      assert.equal(error.code, 'ERR_SLUICE_CONFIG_MISMATCH');
      assert.doesNotMatch(error.message, /hunter2|someone/);
      return true;
    },
  );
  assert.equal(Reputation.destroy(name), true);
  await assert.rejects(reputation.ready(), { code: 'ERR_SLUICE_CLOSED' });
});

test('a key that holds something else is left as it is', withRedis, async (t) => {
  const redis = await startRedis(t);
  const name = freshName();
  await redis.command('SET', `sluice:1b:{b:${name}}:bans`, 'foreign');
  const reputation = new Reputation(name, { ...RULES, scope: { redis: redis.url } });
  await until(() => /WRONGTYPE/.test(reputation.stats().fleet.lastError));
  await assert.rejects(reputation.ready({ timeout: 300 }), /WRONGTYPE/);
  assert.equal(reputation.ban(CLIENT, { duration: '1h' }), true);
  assert.match(await redis.command('GET', `sluice:1b:{b:${name}}:bans`), /foreign/);
  Reputation.destroy(name);
});

test('a ban that was made just before destroy is sent', withRedis, async (t) => {
  const redis = await startRedis(t);
  const { name, scope, machines } = await fleet(t, redis, 1);
  const reputation = new Reputation(name, { ...RULES, scope });
  await reputation.ready();
  reputation.ban(CLIENT, { duration: '1h' });
  Reputation.destroy(name);
  await machines[0].until(true, CLIENT);
});

test('an account that may only do what bans need is enough', withRedis, async (t) => {
  const redis = await startRedis(t);
  const rights =
    '+evalsha +eval +script|load +time +hget +hset +hsetnx +hdel +hincrby +hscan +zadd +zrem +zrevrange +zrangebyscore +pexpireat +persist +get +set +del +publish +subscribe +hello +auth';
  const rules = [
    'ACL',
    'SETUSER',
    'bans',
    'on',
    '>hunter2',
    '~sluice:*',
    'resetchannels',
    '&sluice:*',
    ...rights.split(' '),
  ];
  assert.match(await redis.command(...rules), /^\+OK/);
  const scope = { redis: redis.url.replace('//', '//bans:hunter2@') };
  const name = freshName();
  const [first, second] = await Promise.all([1, 2].map(() => startMachine(t, name, { scope })));
  await first.call('recordFailure', CLIENT, { weight: 2 });
  await second.call('recordFailure', CLIENT, { weight: 3 });
  await first.until(true, CLIENT);
  await first.call('unban', CLIENT);
  await second.until(false, CLIENT);
});

test(
  'a reset of tests forgets the bans here, and the next construction reads them again',
  withRedis,
  async (t) => {
    const redis = await startRedis(t);
    const name = freshName();
    const options = { ...RULES, scope: { redis: redis.url } };
    const reputation = new Reputation(name, options);
    await reputation.ready();
    reputation.ban(CLIENT, { duration: '1h' });
    while (reputation.stats().fleet.sent !== 1) await new Promise((resolve) => setTimeout(resolve, 2));
    testing.reset();
    assert.deepEqual([reputation.isBanned(CLIENT), reputation.stats().fleet], [false, undefined]);
    await new Reputation(name, options).ready();
    assert.equal(reputation.isBanned(CLIENT), true);
  },
);

test('a connection has one descriptor', { skip: withRedis.skip ?? listed.skip }, async (t) => {
  const redis = await startRedis(t);
  const [name, before] = [freshName(), new Set(sockets())];
  const reputation = new Reputation(name, { ...RULES, scope: { redis: redis.url } });
  await reputation.ready();
  // Reputations of other tests connect again and again.
  await until(() => sockets().filter((socket) => !before.has(socket)).length === 1);
  Reputation.destroy(name);
});
