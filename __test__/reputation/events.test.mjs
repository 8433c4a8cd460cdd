// Reputation.on: every thread that listens hears of each ban, each ban lifted, and each that ran out, once.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { freshName, runInAll, startPeers } from '../helpers/peer.mjs';
import { manualClock } from '../helpers/setup.mjs';

const { Reputation, SecurityMonitor } = sluice;

const A = '203.0.113.7';
const B = '203.0.113.8';
const RULES = { maxFailures: 3, findTime: '1h', banTime: '10s', maxBanTime: '1h' };
const START = Date.UTC(2030, 0, 1);

function stopClock(t) {
  const clock = manualClock(t);
  clock.set(START);
  return clock;
}

/** The events of a reputation, as they come, and a promise of the first so many of them. */
function record(reputation) {
  const heard = [];
  for (const event of ['ban', 'unban', 'expire']) reputation.on(event, (ban) => heard.push([event, ban]));
  const first = async (count) => {
    // Listeners keep no thread alive; this does.
    while (heard.length < count) await new Promise(setImmediate);
    return heard.slice(0, count);
  };
  return { heard, first };
}

const names = (events) => events.map(([event, { client }]) => `${event} ${client}`);
const turns = async () => {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
};

test('a ban begins and expires; the clock of tests decides when', async (t) => {
  const clock = stopClock(t);
  const reputation = new Reputation(freshName(), RULES);
  const { heard, first } = record(reputation);
  reputation.recordFailure(A, { weight: 3, reason: 'password' });
  const until = START + 10_000;
  const ban = { client: A, until, reason: 'password', by: 'failures' };
  assert.deepEqual(await first(1), [['ban', { ...ban, extended: false }]]);
  clock.advance(9_999);
  await turns();
  assert.equal(heard.length, 1);
  clock.advance(1);
  assert.deepEqual((await first(2))[1], ['expire', ban]);
  assert.equal(reputation.isBanned(A), false);
  clock.advance('1h');
  await turns();
  assert.equal(heard.length, 2);
});

test('a ban that is lifted, replaced or permanent does not expire', async (t) => {
  const clock = stopClock(t);
  const reputation = new Reputation(freshName(), RULES);
  const { heard, first } = record(reputation);
  reputation.ban(A, { duration: '1m' });
  reputation.ban(A, { duration: '30s' });
  reputation.ban(A, { duration: '2m', reason: 'longer' });
  reputation.ban(B, { duration: '1m' });
  assert.equal(reputation.unban(B), true);
  assert.equal(reputation.unban(B), false);
  reputation.ban('192.0.2.1', { duration: Number.POSITIVE_INFINITY });
  await first(5);
  clock.advance('100d');
  assert.deepEqual(
    (await first(6)).map(([event, { client, until, extended }]) => [event, client, until, extended]),
    [
      ['ban', A, START + 60_000, false],
      ['ban', A, START + 120_000, true],
      ['ban', B, START + 60_000, false],
      ['unban', B, START + 60_000, undefined],
      ['ban', '192.0.2.1', Number.POSITIVE_INFINITY, false],
      ['expire', A, START + 120_000, undefined],
    ],
  );
  clock.advance('100d');
  await turns();
  assert.equal(heard.length, 6);
});

test('ranges have the same events, and the first to end expires first', async (t) => {
  const clock = stopClock(t);
  const reputation = new Reputation(freshName(), RULES);
  const { first } = record(reputation);
  reputation.ban('203.0.113.0/24', { duration: '2s', reason: 'range' });
  reputation.ban('2001:db8::/32', { duration: '3s' });
  reputation.ban('198.51.100.0/24', { duration: '1h' });
  reputation.ban('203.0.113.0/24', { duration: '5s' });
  reputation.unban('198.51.100.0/24');
  reputation.ban(A, { duration: '4s' });
  await first(6);
  clock.advance('5s');
  assert.deepEqual(names(await first(9)), [
    'ban 203.0.113.0/24',
    'ban 2001:db8::/32',
    'ban 198.51.100.0/24',
    'ban 203.0.113.0/24',
    'unban 198.51.100.0/24',
    `ban ${A}`,
    'expire 2001:db8::/32',
    `expire ${A}`,
    'expire 203.0.113.0/24',
  ]);
});

test('a new ban of a client whose last one has ended comes after its expiry', async (t) => {
  const clock = stopClock(t);
  const reputation = new Reputation(freshName(), RULES);
  const { first } = record(reputation);
  reputation.ban(A, { duration: '1s', reason: 'first' });
  await first(1);
  // In one piece, before any timer runs.
  clock.advance('2s');
  reputation.ban(A, { duration: '1s', reason: 'second' });
  const events = await first(3);
  assert.deepEqual(
    events.map(([event, { reason }]) => `${event} ${reason}`),
    ['ban first', 'expire first', 'ban second'],
  );
  assert.equal(events[2][1].extended, false);
});

test('a client that is evicted after its ban has ended still expires', async (t) => {
  const clock = stopClock(t);
  const reputation = new Reputation(freshName(), { ...RULES, maxClients: 1 });
  const { first } = record(reputation);
  reputation.ban(A, { duration: '1s' });
  await first(1);
  clock.advance('1s');
  assert.equal(reputation.ban(B, { duration: '1s' }), true);
  assert.deepEqual(names(await first(3)).sort(), [`ban ${A}`, `ban ${B}`, `expire ${A}`]);
});

test('a ban that finds no place is no event', async (t) => {
  stopClock(t);
  const reputation = new Reputation(freshName(), { ...RULES, maxClients: 1 });
  const { heard, first } = record(reputation);
  reputation.ban(A, { duration: '1m' });
  assert.equal(reputation.ban(B, { duration: '1m' }), false);
  await first(1);
  await turns();
  assert.deepEqual(names(heard), [`ban ${A}`]);
});

test('by says what banned: failures, a rule, a call, a file', async (t) => {
  stopClock(t);
  const name = freshName();
  const reputation = new Reputation(name, RULES);
  const { first } = record(reputation);
  const rules = [{ name: 'scan', event: 'probe', count: 1, window: '1m', action: 'ban' }];
  new SecurityMonitor(freshName(), { reputation: name, rules }).record('probe', A);
  reputation.ban(B, { duration: '1s' });
  const { mkdtempSync, rmSync } = await import('node:fs');
  const { tmpdir } = await import('node:os');
  const folder = mkdtempSync(`${tmpdir()}/sluice-events-`);
  t.after(() => rmSync(folder, { recursive: true }));
  reputation.save(`${folder}/bans`);
  await first(2);
  reputation.unban(A);
  reputation.load(`${folder}/bans`);
  reputation.load(`${folder}/bans`);
  assert.deepEqual(
    (await first(4)).map(([event, { client, by, reason }]) => [event, client, by, reason]),
    [
      ['ban', A, 'rule', 'scan'],
      ['ban', B, 'manual', null],
      ['unban', A, 'rule', 'scan'],
      ['ban', A, 'file', 'scan'],
    ],
  );
});

test('bans from before the subscription expire as well; one that has ended does not', async (t) => {
  const clock = stopClock(t);
  const reputation = new Reputation(freshName(), RULES);
  reputation.ban('192.0.2.1', { duration: 1 });
  clock.advance(1);
  reputation.ban(A, { duration: '1s' });
  reputation.ban('203.0.113.0/24', { duration: '2s' });
  const { first } = record(reputation);
  clock.advance('2s');
  assert.deepEqual(names(await first(2)), [`expire ${A}`, 'expire 203.0.113.0/24']);
});

test('a clock that is set back leaves a ban its remaining time, and is no event', async (t) => {
  const clock = stopClock(t);
  const reputation = new Reputation(freshName(), RULES);
  const { heard, first } = record(reputation);
  reputation.ban(A, { duration: '10s' });
  reputation.ban('203.0.113.0/24', { duration: '20s' });
  clock.set(START - 86_400_000);
  clock.advance(9_999);
  await turns();
  assert.deepEqual(names(heard), [`ban ${A}`, 'ban 203.0.113.0/24']);
  clock.advance(1);
  await first(3);
  clock.advance('10s');
  assert.deepEqual(names(await first(4)).slice(2), [`expire ${A}`, 'expire 203.0.113.0/24']);
});

test('once, off, unknown events, and destroy', async (t) => {
  const clock = stopClock(t);
  const name = freshName();
  const reputation = new Reputation(name, RULES);
  const heard = [];
  const listener = ({ client }) => heard.push(client);
  reputation.once('ban', listener);
  reputation.ban(A, { duration: '1s' });
  reputation.ban(B, { duration: '1s' });
  await turns();
  assert.deepEqual(heard, [A]);
  assert.equal(reputation.on('expire', listener).off('expire', listener), reputation);
  clock.advance('1s');
  await turns();
  assert.deepEqual(heard, [A]);
  assert.throws(() => reputation.on('banned', listener), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /"ban", "unban", "expire"/,
  });
  assert.throws(() => reputation.on('ban', 'no function'), { code: 'ERR_SLUICE_INVALID_OPTION' });
  reputation.on('expire', listener);
  reputation.ban(A, { duration: '1s' });
  Reputation.destroy(name);
  clock.advance('1h');
  await turns();
  assert.deepEqual(heard, [A]);
  assert.throws(() => reputation.on('ban', listener), { code: 'ERR_SLUICE_CLOSED' });
});

/** Counts the events of each client in a thread. */
const count = ({ load, state }, [name, options]) => {
  state.reputation = new (load().Reputation)(name, options);
  state.counts = {};
  for (const event of ['ban', 'unban', 'expire']) {
    state.reputation.on(event, ({ client, missed = 0 }) => {
      const key = `${event} ${client}`;
      state.counts[key] = (state.counts[key] ?? 0) + 1 + missed * 1_000_000;
    });
  }
};

/** The counts of a thread once it has heard `total` events. */
const countsOf = async ({ state }, total) => {
  const heard = () => Object.values(state.counts).reduce((sum, n) => sum + n, 0);
  while (heard() < total) await new Promise(setImmediate);
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
  return state.counts;
};

test('four workers hear the same: each ban once, each end once', async (t) => {
  const clock = stopClock(t);
  const peers = startPeers(t, 4);
  await runInAll(peers, count, [freshName(), { ...RULES, banFactor: 1 }]);
  const EACH = 50;
  const ban = ({ state }, { EACH, index }) => {
    for (let n = 0; n < EACH; n++) state.reputation.ban(`10.${index}.0.${n}`, { duration: 1000 + n });
    // All threads race for these.
    for (let n = 0; n < EACH; n++) state.reputation.recordFailure(`10.9.0.${n}`, { weight: 3 });
    for (let n = 0; n < 10; n++) state.reputation.ban(`10.${index + 20}.${n}.0/24`, { duration: '1s' });
    for (let n = 0; n < 10; n++) state.reputation.unban(`10.${index}.0.${n}`);
  };
  await Promise.all(peers.map((peer, index) => peer.run(ban, { EACH, index })));
  const bans = 4 * EACH + EACH + 4 * 10;
  await runInAll(peers, countsOf, bans + 4 * 10);
  clock.advance('1h');
  const all = await runInAll(peers, countsOf, 2 * bans);
  for (const counts of all) {
    assert.deepEqual(counts, all[0]);
    assert.ok(Object.values(counts).every((times) => times === 1));
    const kinds = Object.keys(counts).map((key) => key.split(' ')[0]);
    const of = (kind) => kinds.filter((known) => known === kind).length;
    assert.deepEqual([of('ban'), of('unban'), of('expire')], [bans, 40, bans - 40]);
  }
});

test('threads that are terminated while bans end take no expiry with them', async (t) => {
  const peers = startPeers(t, 4);
  await runInAll(peers, count, [freshName(), { ...RULES, maxClients: 100_000 }]);
  // All events fit into the mailbox of a thread, which holds 1024: a busy machine may run it only after the last expiry.
  const TOTAL = 500;
  await peers[3].run(({ state }, TOTAL) => {
    for (let n = 0; n < TOTAL; n++) {
      state.reputation.ban(`10.0.${n >> 8}.${n & 255}`, { duration: 200 + (n % 100) });
    }
  }, TOTAL);
  for (const peer of peers.slice(0, 3)) {
    await peer.run(async ({ state }) => {
      while (!Object.keys(state.counts).some((key) => key.startsWith('expire'))) {
        await new Promise(setImmediate);
      }
    });
    await peer.end();
  }
  const counts = await peers[3].run(countsOf, 2 * TOTAL);
  assert.equal(Object.keys(counts).length, 2 * TOTAL);
  assert.ok(Object.values(counts).every((times) => times === 1));
});

test('with the system clock, a ban expires no earlier than its end', async () => {
  const reputation = new Reputation(freshName(), RULES);
  const { first } = record(reputation);
  reputation.ban(A, { duration: 20 });
  await first(1);
  const [, [, { until }]] = await first(2);
  // The date and the clock may differ by the millisecond in which one of them is followed.
  assert.ok(Date.now() >= until - 2);
  assert.equal(reputation.isBanned(A), false);
});
