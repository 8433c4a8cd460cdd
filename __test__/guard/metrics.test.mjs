// guard.stats() and guard.metrics(): the counters of a guard, and their Prometheus text format.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sluice from '../../index.js';
import { startPeers } from '../helpers/peer.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const { createGuard, RateLimiter } = sluice;

const BANS = { maxFailures: 2, findTime: '1m', banTime: '10s', maxBanTime: '1h' };
const freshName = freshNames('guard-metrics');
stopClock();

const from = (remoteAddress) => ({ headers: {}, socket: { remoteAddress }, url: '/' });

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const VALUE = String.raw`"((?:[^"\\\n]|\\["\\n])*)"`;
const SAMPLE = new RegExp(`^(${NAME})(?:\\{((?:${NAME}=${VALUE},?)*)\\})? (-?[0-9.e+]+|NaN|[+-]Inf)$`);
const UNESCAPED = { '\\\\': '\\', '\\"': '"', '\\n': '\n' };

/** The metric families of a page. Throws on anything that the text format does not allow. */
function parse(text) {
  assert.ok(text.endsWith('\n'));
  const families = new Map();
  let current;
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment?.[1] === 'HELP') {
      assert.ok(!families.has(comment[2]), `${comment[2]} appears twice`);
      current = { name: comment[2], help: comment[3], samples: new Map() };
      families.set(current.name, current);
    } else if (comment !== null) {
      assert.equal(comment[2], current.name);
      assert.ok(['counter', 'gauge'].includes(comment[3]));
      assert.equal(comment[3] === 'counter', current.name.endsWith('_total'));
      current.type = comment[3];
    } else {
      const sample = SAMPLE.exec(line);
      assert.ok(sample, `no sample: ${line}`);
      assert.equal(sample[1], current.name);
      assert.ok(!current.samples.has(sample[2]), `${line} appears twice`);
      current.samples.set(sample[2], Number(sample.at(-1)));
    }
  }
  return families;
}

/** The values of a label in a family. */
function labelValues(family, label) {
  const pattern = new RegExp(`(?:^|,)${label}=${VALUE}`);
  return [...family.samples.keys()].map((labels) =>
    pattern.exec(labels)[1].replace(/\\[\\"n]/g, (pair) => UNESCAPED[pair]),
  );
}

describe('stats', () => {
  test('count the decisions, and include the stats of each part', () => {
    const guard = createGuard(freshName(), {
      rateLimit: { limit: 2, window: '1h' },
      connections: { max: 5 },
      reputation: BANS,
      monitor: { rules: [] },
      skip: ({ url }) => url === '/skipped',
    });
    for (let i = 0; i < 3; i++) guard.check(from('192.0.2.1'));
    guard.check({ ...from('192.0.2.1'), url: '/skipped' });
    guard.record(from('192.0.2.2'), 'login-failed', 'ada', { weight: 2 });
    guard.check(from('192.0.2.2'));
    const { rateLimit, connections, reputation, monitor, ...counts } = guard.stats();
    assert.deepEqual(counts, {
      allowed: 2,
      refused: 2,
      refusedBy: { quota: 1, connections: 0, ban: 1 },
      refusedAtAccept: 0,
      dryRefused: 0,
      skipped: 1,
      refunded: 0,
      recorded: 1,
      faults: 0,
      routes: {},
    });
    assert.deepEqual([rateLimit.allowed, rateLimit.refused], [2, 1]);
    assert.deepEqual([connections.opened, reputation.bans, monitor.recorded], [0, 1, 1]);
  });

  test('include all threads, also ended ones', async (t) => {
    const name = freshName();
    const guard = createGuard(name, { rateLimit: { limit: 10, window: '1h' } });
    const peers = startPeers(t, 4);
    const check = ({ load }, { name, request }) => {
      const guard = load().createGuard(name);
      for (let i = 0; i < 25; i++) guard.check(request);
    };
    await Promise.all(peers.map((peer) => peer.run(check, { name, request: from('192.0.2.1') })));
    await Promise.all(peers.map((peer) => peer.end()));
    const { allowed, refused } = guard.stats();
    assert.deepEqual([allowed, refused], [10, 90]);
  });
});

describe('metrics', () => {
  test('are the values of stats() in the text format', () => {
    const guard = createGuard(freshName(), {
      rateLimit: { limit: 2, window: '1h' },
      connections: { max: 5 },
      reputation: BANS,
      monitor: { rules: [] },
    });
    for (let i = 0; i < 5; i++) guard.check(from('192.0.2.1'));
    guard.record(from('192.0.2.2'), 'login-failed', 'ada', { weight: 2 });
    const families = parse(guard.metrics());
    const value = (name, labels) => families.get(name)?.samples.get(labels);
    const g = `guard="${guard.name}"`;
    assert.equal(value('sluice_requests_passed_total', `${g},outcome="allowed"`), 2);
    assert.equal(value('sluice_requests_refused_total', `${g},reason="quota"`), 3);
    assert.equal(value('sluice_requests_refused_total', `${g},reason="ban"`), 0);
    assert.equal(value('sluice_limiter_refused_total', `${g},limiter="${guard.name}"`), 3);
    assert.equal(value('sluice_recorded_total', g), 1);
    assert.equal(value('sluice_connections', g), 0);
    assert.equal(value('sluice_bans_total', `${g},reputation="${guard.name}",kind="automatic"`), 1);
    assert.equal(value('sluice_banned', `${g},reputation="${guard.name}",kind="client"`), 1);
    assert.equal(value('sluice_events_total', `${g},monitor="${guard.name}"`), 1);
    for (const { help, type, samples } of families.values()) {
      assert.ok(help && type && samples.size > 0);
    }
  });

  test('leave out disabled parts', () => {
    const families = parse(createGuard(freshName(), { rateLimit: false }).metrics());
    const names = [...families.keys()].join(' ');
    assert.doesNotMatch(names, /limiter|connections|bans|events/);
    assert.match(names, /sluice_requests_passed_total/);
  });

  test('leave out destroyed parts', () => {
    const guard = createGuard(freshName());
    RateLimiter.destroy(guard.name);
    assert.ok(!parse(guard.metrics()).has('sluice_limiter_allowed_total'));
  });

  test('escape names', () => {
    const name = `${freshName()} "quoted" back\\slash\nline {braces}, käse`;
    const families = parse(createGuard(name).metrics());
    assert.deepEqual(labelValues(families.get('sluice_limiter_size'), 'limiter'), [name]);
    assert.deepEqual(labelValues(families.get('sluice_faults_total'), 'guard'), [name]);
  });
});

describe('metrics() over all guards', () => {
  const value = (families, name, labels) => families.get(name)?.samples.get(labels);

  test('is one page that has each family once', () => {
    const rateLimit = { limit: 1, window: '1h' };
    const guards = [1, 2].map(() =>
      createGuard(freshName(), { rateLimit, reputation: BANS, connections: { max: 5 } }),
    );
    for (const guard of guards) for (let i = 0; i < 3; i++) guard.check(from('192.0.2.1'));
    const families = parse(sluice.metrics());
    for (const { name } of guards) {
      const g = `guard="${name}"`;
      assert.equal(value(families, 'sluice_requests_passed_total', `${g},outcome="allowed"`), 1);
      assert.equal(value(families, 'sluice_limiter_refused_total', `${g},limiter="${name}"`), 2);
      assert.equal(value(families, 'sluice_connections', g), 0);
      assert.equal(value(families, 'sluice_bans_total', `${g},reputation="${name}",kind="automatic"`), 0);
    }
  });

  test('equals guard.metrics() for each guard', () => {
    const options = { reputation: BANS, monitor: { rules: [] }, connections: { max: 5 } };
    const guard = createGuard(freshName(), options);
    for (let i = 0; i < 3; i++) guard.check(from('192.0.2.1'));
    guard.record(from('192.0.2.2'), 'login-failed');
    assert.equal(sluice.metrics({ guards: [guard] }), guard.metrics());
    assert.equal(sluice.metrics({ guards: [guard.name, guard] }), guard.metrics());
  });

  test('includes guards and routes that exist only in other threads', async (t) => {
    const name = freshName();
    const [peer] = startPeers(t, 1);
    await peer.run(
      async ({ load, require }, { name, request }) => {
        const { createGuard } = load();
        const guard = createGuard(name, { rateLimit: { limit: 2, window: '1h' }, connections: { max: 5 } });
        for (let i = 0; i < 3; i++) guard.check(request);
        const app = require('fastify')();
        await app.register(guard.fastify);
        app.get(
          '/login',
          { config: { sluice: { rateLimit: { limit: 1, window: '1h' } } } },
          async () => 'in',
        );
        await app.inject('/login');
      },
      { name, request: from('192.0.2.1') },
    );
    const families = parse(sluice.metrics());
    const g = `guard="${name}"`;
    assert.equal(value(families, 'sluice_requests_refused_total', `${g},reason="quota"`), 1);
    assert.equal(value(families, 'sluice_limiter_allowed_total', `${g},limiter="${name}"`), 2);
    assert.equal(value(families, 'sluice_limiter_allowed_total', `${g},limiter="${name}:GET /login"`), 1);
    await peer.end();
    assert.equal(
      value(parse(sluice.metrics()), 'sluice_limiter_allowed_total', `${g},limiter="${name}:GET /login"`),
      1,
    );
  });

  test('leaves out destroyed parts and keeps the others', () => {
    const guard = createGuard(freshName(), { reputation: BANS, connections: { max: 5 } });
    RateLimiter.destroy(guard.name);
    sluice.Reputation.destroy(guard.name);
    sluice.ConnectionTracker.destroy(guard.name);
    const families = parse(sluice.metrics({ guards: [guard] }));
    assert.deepEqual([families.has('sluice_limiter_size'), families.has('sluice_banned')], [false, false]);
    assert.ok(families.has('sluice_requests_passed_total'));
  });

  test('comments: false leaves out comments, so that pages can be joined', () => {
    const [one, other] = [1, 2].map(() => createGuard(freshName(), {}));
    const samples = other.metrics({ comments: false });
    assert.doesNotMatch(samples, /#/);
    const joined = one.metrics() + samples;
    const comments = joined.split('\n').filter((line) => line.startsWith('#'));
    assert.equal(new Set(comments).size, comments.length);
    assert.equal(joined.match(/^sluice_faults_total/gm).length, 2);
  });

  for (const [options, message] of [
    [{ guards: 'api' }, /metrics guards is "api"; accepted: an array/],
    [{ guards: ['no such guard'] }, /metrics guards is "no such guard"; accepted: an array of guards/],
    [{ guard: [] }, /no option "guard"/],
  ]) {
    test(`${JSON.stringify(options)} is rejected`, () => {
      assert.throws(() => sluice.metrics(options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
    });
  }

  test('comments must be true or false', () => {
    assert.throws(() => createGuard(freshName(), {}).metrics({ comments: 'no' }), {
      code: 'ERR_SLUICE_INVALID_OPTION',
    });
  });
});
