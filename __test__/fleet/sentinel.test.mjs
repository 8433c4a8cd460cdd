// A master that real sentinels watch: they are asked at each connection, so a link follows demotions and failovers.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import sluice from '../../index.js';
import { freshName } from '../helpers/peer.mjs';
import { freePort, startRedis, withRedis } from '../helpers/redis.mjs';
import { isReplicated, startWatched } from '../helpers/redis-groups.mjs';

const { RateLimiter } = sluice;

const open = (redis) =>
  new RateLimiter(freshName(), {
    limit: 1000,
    window: '30d',
    scope: { redis, onError: 'deny', timeout: '10s' },
  });

/** Asks until the server decides, which then is the one at this port. */
async function decidedAt(limiter, port) {
  for (;;) {
    const { source } = await limiter.consumeAsync('healing');
    const [node] = limiter.stats().fleet.nodes;
    if (source === 'redis' && node.server === `127.0.0.1:${port}/0`) return;
    await delay(20);
  }
}

test(
  'a failover is followed: by order of a sentinel, and when the master is killed',
  withRedis,
  async (t) => {
    const { master, replica, sentinels, urls, giveUp } = await startWatched(t, 'main');
    const limiter = open({ sentinels: urls, master: 'main' });
    await limiter.ready({ timeout: '20s' });
    await decidedAt(limiter, master.port);
    for (let n = 0; n < 10; n++) assert.equal((await limiter.consumeAsync('a')).source, 'redis');
    await isReplicated(master);

    await sentinels[0].until((reply) => reply.startsWith('+OK'), 'SENTINEL', 'FAILOVER', 'main');
    await decidedAt(limiter, replica.port);
    assert.equal((await limiter.peekAsync('a')).remaining, 990, 'what was replicated is there');

    await master.until((reply) => reply.includes('master_link_status:up'), 'INFO', 'replication');
    for (const sentinel of sentinels) {
      const knows = (reply) => reply.includes(`\r\n${replica.port}\r\n`);
      await sentinel.until(knows, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main');
    }
    await isReplicated(replica);
    await replica.kill();
    await giveUp();
    await decidedAt(limiter, master.port);
    assert.equal((await limiter.peekAsync('a')).remaining, 990);
    assert.match(limiter.stats().fleet.server, /^"main"\/0 of sentinels 127\.0\.0\.1:\d+, /);
  },
);

test(
  'sentinels that are away or know no such master are named; one that answers is enough',
  withRedis,
  async (t) => {
    const { master, urls } = await startWatched(t, 'main');
    const away = `redis://127.0.0.1:${await freePort()}`;
    const some = open({ sentinels: [away, urls[0]], master: 'main' });
    await some.ready({ timeout: '20s' });
    await decidedAt(some, master.port);

    const unknown = open({ sentinels: urls, master: 'other' });
    assert.equal((await unknown.consumeAsync('a')).source, 'deny');
    assert.match(unknown.stats().fleet.lastError, /sentinel 127\.0\.0\.1:\d+ knows no master "other"/);

    const none = open({ sentinels: [away.replace('//', '//:hunter2@')], master: 'main' });
    assert.equal((await none.consumeAsync('a')).source, 'deny');
    assert.match(none.stats().fleet.lastError, /sentinel 127\.0\.0\.1:\d+\/0 cannot be reached/);
    assert.doesNotMatch(JSON.stringify(none.stats()), /hunter2/);

    const plain = open({ sentinels: [(await startRedis(t)).url], master: 'main' });
    assert.equal((await plain.consumeAsync('a')).source, 'deny');
    assert.match(plain.stats().fleet.lastError, /sentinel 127\.0\.0\.1:\d+: .*unknown command/i);
  },
);
