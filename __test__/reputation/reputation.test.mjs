// Reputation: failures, bans, lists, and invalid options.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import testing from '../../lib/testing.js';
import { freshName } from '../helpers/peer.mjs';

const { Reputation } = sluice;

const START = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const A = '203.0.113.7';

const clock = testing.manualClock();
test.beforeEach(() => clock.set(START));
test.after(() => clock.restore());

/** Three failures in ten minutes ban for one minute, at most for an hour. */
const RULES = { maxFailures: 3, findTime: '10m', banTime: '1m', maxBanTime: '1h' };
const fresh = (options) => new Reputation(freshName(), { ...RULES, ...options });

/** The verdict on an unknown client, with changes. */
const verdict = (changes) => ({
  banned: false,
  until: null,
  retryAfterMs: 0,
  failures: 0,
  bans: 0,
  reason: null,
  rule: 'none',
  ...changes,
});

function failUntilBanned(reputation, ip) {
  for (let failures = 1; ; failures++) {
    const { banned, retryAfterMs } = reputation.recordFailure(ip);
    if (banned) return [failures, retryAfterMs];
  }
}

const invalid = (code, message) => ({ name: 'SluiceError', code: `ERR_SLUICE_${code}`, message });

test('maxFailures within findTime ban for banTime', () => {
  const reputation = fresh();
  assert.deepEqual(reputation.check(A), verdict());
  assert.deepEqual(reputation.recordFailure(A), verdict({ failures: 1 }));
  assert.deepEqual(reputation.recordFailure(A, { reason: 'password' }), verdict({ failures: 2 }));
  assert.equal(reputation.isBanned(A), false);
  const banned = verdict({
    banned: true,
    until: START + MINUTE,
    retryAfterMs: MINUTE,
    failures: 3,
    bans: 1,
    reason: 'password',
    rule: 'ban',
  });
  assert.deepEqual(reputation.recordFailure(A, { reason: 'password' }), banned);
  assert.deepEqual(reputation.check(A), banned);
  clock.advance(MINUTE - 1);
  assert.equal(reputation.isBanned(A), true);
  assert.equal(reputation.check(A).retryAfterMs, 1);
  clock.advance(1);
  assert.equal(reputation.isBanned(A), false);
  assert.deepEqual(reputation.check(A), verdict({ bans: 1 }));
});

test('failures older than findTime do not count', () => {
  const reputation = fresh();
  reputation.recordFailure(A, { weight: 2 });
  clock.advance('10m');
  assert.deepEqual(reputation.recordFailure(A, { weight: 2 }), verdict({ failures: 2 }));
});

test('each further ban is longer and takes fewer failures; the count of past bans falls in quiet time', () => {
  const reputation = fresh({ maxFailures: 10, maxBanTime: '5m' });
  for (const [failures, minutes] of [
    [10, 1],
    [5, 2],
    [4, 4],
    [2, 5],
    [2, 5],
    [1, 5],
  ]) {
    assert.deepEqual(failUntilBanned(reputation, A), [failures, minutes * MINUTE]);
    clock.advance(minutes * MINUTE);
  }
  const { bans } = reputation.check(A);
  const remaining = Array.from({ length: 7 }, () => {
    clock.advance('10m');
    return reputation.check(A).bans;
  });
  assert.deepEqual([bans, ...remaining], [6, 5, 4, 3, 2, 1, 0, 0]);
  assert.deepEqual(failUntilBanned(reputation, A), [10, MINUTE]);
});

test('jitter shortens a ban by up to that fraction', () => {
  const reputation = fresh({ jitter: 0.5 });
  const lengths = Array.from({ length: 200 }, (_, n) => failUntilBanned(reputation, `10.0.0.${n}`)[1]);
  assert.ok(lengths.every((ms) => Number.isInteger(ms) && ms >= MINUTE / 2 && ms <= MINUTE));
  assert.ok(new Set(lengths).size > 100);
});

test('recordSuccess clears failures, but ends no ban', () => {
  const reputation = fresh();
  reputation.recordFailure(A, { weight: 2 });
  assert.equal(reputation.recordSuccess(A), undefined);
  assert.deepEqual(reputation.check(A), verdict());
  failUntilBanned(reputation, A);
  reputation.recordSuccess(A);
  assert.equal(reputation.isBanned(A), true);
  assert.equal(reputation.check(A).bans, 1);
});

test('ban takes a client or a range, for a duration or without an end', () => {
  const reputation = fresh();
  assert.equal(reputation.ban(A, { duration: '5m', reason: 'abuse' }), true);
  assert.equal(reputation.ban('10.0.0.0/8', { duration: Number.POSITIVE_INFINITY }), true);
  assert.deepEqual(
    reputation.check(A),
    verdict({
      banned: true,
      until: START + 5 * MINUTE,
      retryAfterMs: 5 * MINUTE,
      reason: 'abuse',
      rule: 'ban',
    }),
  );
  const forEver = { until: Number.POSITIVE_INFINITY, retryAfterMs: Number.POSITIVE_INFINITY };
  assert.deepEqual(reputation.check('10.1.2.3'), verdict({ banned: true, ...forEver, rule: 'ban' }));
  assert.deepEqual(reputation.bans(), [
    { client: A, until: START + 5 * MINUTE, retryAfterMs: 5 * MINUTE, reason: 'abuse' },
    { client: '10.0.0.0/8', ...forEver, reason: null },
  ]);
  clock.advance('20000d');
  assert.equal(reputation.isBanned(A), false);
  assert.equal(reputation.isBanned('::ffff:10.255.255.255'), true);
  for (const { client } of reputation.bans()) assert.equal(reputation.unban(client), true);
  assert.equal(reputation.unban('10.0.0.0/8'), false);
  assert.equal(reputation.isBanned('10.1.2.3'), false);
  assert.deepEqual(reputation.bans(), []);
});

test('unban ends a ban and keeps the count of past bans', () => {
  const reputation = fresh();
  failUntilBanned(reputation, A);
  assert.equal(reputation.unban(A), true);
  assert.equal(reputation.unban(A), false);
  assert.deepEqual(reputation.check(A), verdict({ bans: 1 }));
  assert.deepEqual(failUntilBanned(reputation, A), [2, 2 * MINUTE]);
});

test('the longest matching prefix of allow and deny takes precedence over bans', () => {
  const reputation = fresh({ allow: ['10.0.0.0/8', '10.1.2.3'], deny: ['10.1.0.0/16', '2001:db8::/32'] });
  const rules = { '10.9.9.9': 'allow', '10.1.9.9': 'deny', '10.1.2.3': 'allow', '2001:db8::1': 'deny' };
  for (const [ip, rule] of Object.entries(rules)) {
    assert.equal(reputation.check(ip).rule, rule);
    assert.equal(reputation.isBanned(ip), rule === 'deny');
    for (let i = 0; i < 10; i++) reputation.recordFailure(ip);
    assert.deepEqual([reputation.check(ip).failures, reputation.check(ip).bans], [0, 0]);
  }
  assert.equal(reputation.check('10.1.9.9').until, Number.POSITIVE_INFINITY);
  reputation.ban('10.9.9.9', { duration: '1h' });
  assert.equal(reputation.isBanned('10.9.9.9'), false);
  reputation.setLists({ allow: ['2001:db8::/48'], deny: [] });
  assert.equal(reputation.isBanned('10.9.9.9'), true);
  assert.equal(reputation.isBanned('10.1.9.9'), false);
  assert.equal(reputation.check('2001:db8::1').rule, 'allow');
  reputation.setLists({});
  assert.equal(reputation.check('2001:db8::1').rule, 'none');
});

test('a client is an address truncated to its prefix', () => {
  const reputation = fresh();
  failUntilBanned(reputation, '[2001:db8:1:2::9]:443');
  assert.equal(reputation.isBanned('2001:db8:1:2:ffff::'), true);
  assert.equal(reputation.isBanned('2001:db8:1:3::'), false);
  failUntilBanned(reputation, '::ffff:192.0.2.1');
  assert.deepEqual(
    reputation.bans().map(({ client }) => client),
    ['192.0.2.1', '2001:db8:1:2::'],
  );
  const wide = fresh({ ipv6Prefix: 48 });
  failUntilBanned(wide, '2001:db8:1:2::9');
  assert.equal(wide.isBanned('2001:db8:1:ffff::'), true);
});

test('banned clients are never evicted', () => {
  const reputation = fresh({ maxClients: 20 });
  for (let n = 0; n < 10; n++) failUntilBanned(reputation, `192.0.2.${n}`);
  for (let n = 0; n < 5000; n++) reputation.recordFailure(`10.0.${n >> 8}.${n & 255}`);
  for (let n = 0; n < 10; n++) assert.equal(reputation.isBanned(`192.0.2.${n}`), true);
  const { size, banned, bans, failures, evicted, capacity } = reputation.stats();
  assert.deepEqual([size, banned, bans, failures, capacity], [20, 10, 10, 5030, 20]);
  assert.equal(evicted, 4990);
});

test('when every entry is banned, new clients are counted as untracked', () => {
  const reputation = fresh({ maxClients: 1 });
  reputation.ban(A, { duration: '1h' });
  assert.deepEqual(reputation.recordFailure('192.0.2.1', { weight: 100 }), verdict());
  assert.equal(reputation.ban('192.0.2.1', { duration: '1h' }), false);
  const { untracked, manualBans, size } = reputation.stats();
  assert.deepEqual({ untracked, manualBans, size }, { untracked: 2, manualBans: 1, size: 1 });
});

test('stats count failures, bans and unbans, and the current state', () => {
  const reputation = fresh({ allow: ['10.0.0.0/8'], deny: ['192.0.2.0/24', '198.51.100.0/24'] });
  reputation.recordFailure(A, { weight: 2 });
  reputation.recordFailure(A);
  reputation.recordFailure(A);
  reputation.ban('203.0.113.0/24', { duration: '1h' });
  reputation.ban('2001:db8::', { duration: '1h' });
  reputation.unban('2001:db8::');
  assert.deepEqual(reputation.stats(), {
    failures: 3,
    bans: 1,
    manualBans: 2,
    unbans: 1,
    untracked: 0,
    evicted: 0,
    banned: 1,
    ranges: 1,
    allow: 1,
    deny: 2,
    size: 1,
    capacity: 100_000,
  });
});

test('invalid options are rejected by name', () => {
  const cases = [
    [{ maxFailures: 0 }, /^Reputation maxFailures is 0; accepted: an integer from 1 to 1000000/],
    [{ maxFailures: 1.5 }, /maxFailures is 1.5/],
    [{ maxFailures: undefined }, /maxFailures is undefined.*required: maxFailures, findTime, banTime/],
    [{ findTime: 0 }, /findTime is 0/],
    [{ findTime: -1 }, /findTime is -1/],
    [{ banTime: '1 m' }, /banTime is "1 m"/],
    [{ banTime: Number.POSITIVE_INFINITY }, /banTime is Infinity/],
    [{ maxBanTime: 59_999 }, /maxBanTime is 59999 ms; accepted: from banTime, 60000 ms/],
    [{ banFactor: 0.5 }, /banFactor is 0.5; accepted: a finite number from 1/],
    [{ banFactor: Number.NaN }, /banFactor is NaN/],
    [{ banFactor: '2' }, /banFactor is "2"/],
    [{ jitter: -0.1 }, /jitter is -0.1; accepted: a number from 0 to 1/],
    [{ jitter: 1.1 }, /jitter is 1.1/],
    [{ ipv6Prefix: 129 }, /ipv6Prefix is 129/],
    [{ maxClients: 0 }, /maxClients is 0/],
    [{ allow: '10.0.0.0/8' }, /allow is "10.0.0.0\/8"; accepted: an array of strings/],
    [{ deny: [10] }, /deny is an array/],
    [{ allow: ['10.0.0.0/8'], deny: ['10.0.0.0/8'] }, /deny is "10.0.0.0\/8".*not in allow as well/],
    [{ maxFailure: 1 }, /has no option "maxFailure"/],
  ];
  for (const [options, message] of cases) {
    assert.throws(() => fresh(options), invalid('INVALID_OPTION', message));
  }
  for (const range of ['10.0.0.0/33', '::/129', '10.0.0.1/8', '']) {
    const message = /^Reputation deny contains ".*": .*; accepted: an address or a range/;
    assert.throws(() => fresh({ deny: [range] }), invalid('INVALID_ADDRESS', message));
  }
});

test('invalid arguments are rejected and change nothing', () => {
  const reputation = fresh({ allow: ['10.0.0.0/8'], deny: ['192.0.2.0/24'] });
  reputation.recordFailure(A);
  const before = [reputation.check(A), reputation.stats(), reputation.bans()];
  for (const ip of ['', 'localhost', '1.2.3', '10.0.0.0/8', undefined, null, 7, {}]) {
    for (const method of ['isBanned', 'check', 'recordFailure', 'recordSuccess']) {
      assert.throws(() => reputation[method](ip), invalid('INVALID_ADDRESS', /accepted: IPv4 or IPv6/));
    }
  }
  for (const target of ['', 'localhost', '10.0.0.0/33', '::/129', '10.0.0.1/8', '/8', undefined, 7]) {
    assert.throws(() => reputation.ban(target, { duration: '1m' }), invalid('INVALID_ADDRESS', /accepted/));
    assert.throws(() => reputation.unban(target), invalid('INVALID_ADDRESS', /accepted/));
  }
  const calls = [
    [() => reputation.recordFailure(A, { weight: 0 }), /recordFailure weight is 0/],
    [() => reputation.recordFailure(A, { weight: 1.5 }), /weight is 1.5/],
    [() => reputation.recordFailure(A, { reason: 5 }), /recordFailure reason is 5; accepted: a string of at/],
    [() => reputation.recordFailure(A, { reason: 'x'.repeat(257) }), /at most 256 characters/],
    [() => reputation.recordFailure(A, { reasons: 'x' }), /no option "reasons"/],
    [() => reputation.recordFailure(A, null), /recordFailure options is null/],
    [() => reputation.ban(A), /ban options is undefined/],
    [() => reputation.ban(A, {}), /ban duration is undefined/],
    [() => reputation.ban(A, { duration: 0 }), /ban duration is 0;.*or Infinity/],
    [() => reputation.ban(A, { duration: Number.NEGATIVE_INFINITY }), /duration is -Infinity/],
    [() => reputation.ban(A, { duration: '1m', reason: null }), /ban reason is null/],
    [() => reputation.setLists(), /setLists options is undefined/],
    [() => reputation.setLists({ allow: ['::1'], deny: ['::1/128'] }), /setLists deny/],
    [() => reputation.save(''), /save path is ""/],
    [() => reputation.load(5), /load path is 5/],
  ];
  for (const [call, message] of calls) assert.throws(call, invalid('INVALID_OPTION', message));
  assert.throws(
    () => reputation.setLists({ deny: ['10.0.0.1/8'] }),
    invalid('INVALID_ADDRESS', /setLists deny/),
  );
  assert.deepEqual([reputation.check(A), reputation.stats(), reputation.bans()], before);
  assert.equal(reputation.recordFailure(A, { reason: 'x'.repeat(256) }).failures, 2);
});

test('without the manual clock, dates follow the system clock', () => {
  clock.restore();
  const reputation = fresh();
  const before = Date.now();
  reputation.ban(A, { duration: '1m' });
  const after = Date.now();
  const { until, retryAfterMs } = reputation.check(A);
  assert.ok(until > before + MINUTE - 2000 && until < after + MINUTE + 2000, `${until - before}`);
  assert.ok(Number.isInteger(until) && Number.isInteger(retryAfterMs) && retryAfterMs <= MINUTE);
  assert.deepEqual([reputation.check(A).until, reputation.bans()[0].until], [until, until]);
});
