// What an operator does works for all threads, whichever of them answers, and is recorded with the operator's name.
import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import sluice from '../../index.js';
import { openStream, post } from '../helpers/dashboard.mjs';
import { serve } from '../helpers/http.mjs';
import { runInAll, startPeers } from '../helpers/peer.mjs';
import { freshNames } from '../helpers/setup.mjs';

const freshName = freshNames('actions');
const CLIENT = '203.0.113.7';
const BANS = { maxFailures: 3, findTime: '1h', banTime: '1h', maxBanTime: '1d' };

/** Serves a dashboard in each of four threads; resolves with their ports. */
async function inFourThreads(t) {
  const peers = startPeers(t, 4);
  const listen = async ({ load, require, state }) => {
    const http = require('node:http');
    const { once } = require('node:events');
    const { dashboard } = load();
    const user = (req) => req.headers['x-user'];
    state.server = http.createServer(dashboard({ readOnly: false, user })).listen(0, '127.0.0.1');
    await once(state.server, 'listening');
    return state.server.address().port;
  };
  return { peers, ports: await runInAll(peers, listen) };
}

const quotaOf = ({ limit, windowMs }) => ({ limit, window: windowMs });

const act = (port, body) => post(port, '/action', body, { headers: { 'X-User': 'ada' } });

test('one thread shows a client, and another lets it in, for all of them', async (t) => {
  const name = freshName();
  const limiter = new sluice.RateLimiter(name, { limit: 10, window: '1h' });
  const reputation = new sluice.Reputation(name, BANS);
  const { peers, ports } = await inFourThreads(t);
  const consume = ({ load }, { limiter: of, client }) => {
    const one = new (load().RateLimiter)(of);
    return Array.from({ length: 10 }, () => one.tryConsume(client)).filter(Boolean).length;
  };
  const admitted = await runInAll(peers, consume, { limiter: name, client: CLIENT });
  assert.equal(
    admitted.reduce((sum, count) => sum + count),
    10,
  );
  reputation.ban(CLIENT, { duration: '1h', reason: 'scan' });

  const stream = await openStream(t, ports[0], '/events');
  const { offenders } = await stream.next('snapshot');
  const offender = offenders.find(({ source }) => source === name);
  assert.deepEqual(
    [offender.client, offender.minutes.at(-1) + offender.minutes.at(-2), offender.error],
    [CLIENT, 30, 0],
  );

  const report = await post(ports[1], '/client', { client: offender.id });
  const [quota] = report.json.limiters.filter((one) => one.name === name);
  assert.deepEqual([quota.allowed, quota.remaining, quota.limit], [false, 0, 10]);
  const [verdict] = report.json.verdicts.filter((one) => one.name === name);
  assert.deepEqual([verdict.banned, verdict.reason], [true, 'scan']);

  const { status, json } = await act(ports[2], { action: 'admit', client: offender.id });
  assert.equal(status, 200);
  assert.deepEqual(json, { action: 'admit', what: `unbanned in "${name}", reset in "${name}"`, user: 'ada' });
  assert.equal(limiter.peek(CLIENT).remaining, 10);
  assert.equal(reputation.isBanned(CLIENT), false);
  const after = await stream.until(({ notes }) => notes.some(({ type }) => type === 'action'));
  assert.ok(!after.offenders.some(({ source }) => source === name), 'it no longer counts as refused');
  const { action, client, user, what } = after.notes.find(({ type }) => type === 'action');
  assert.deepEqual(
    { action, client, user, what },
    { action: 'admit', client: CLIENT, user: 'ada', what: json.what },
  );
  const { json: later } = await post(ports[3], '/client', { client: { key: CLIENT } });
  // The ban's end is dated by the thread that notes it, which may be a second later.
  const done = later.timeline.filter(({ type }) => type === 'action');
  assert.deepEqual(
    done.map(({ what: of }) => of),
    [json.what],
  );
});

test('each action does what it says', async (t) => {
  const name = freshName();
  const limiter = new sluice.RateLimiter(name, { limit: 10, window: '1h' });
  const several = new sluice.RateLimiter(`${name}-several`, {
    limits: [
      { limit: 2, window: '1s' },
      { limit: 9, window: '1m' },
    ],
  });
  const reputation = new sluice.Reputation(name, BANS);
  const breaker = new sluice.CircuitBreaker(name, { openFor: '1h' });
  breaker.tryAcquire('https://peer.example').success();
  const port = await serve(t, sluice.dashboard({ readOnly: false }));
  const stream = await openStream(t, port, '/events');
  const snapshot = await stream.next('snapshot');
  const { id } = snapshot.limiters.find((one) => one.name === name);
  const { id: severalId } = snapshot.limiters.find((one) => one.name === several.name);
  const circuits = snapshot.breakers.find((one) => one.name === name).circuits;
  const client = { key: CLIENT };
  const done = async (body) => {
    const { status, json, text } = await act(port, body);
    assert.equal(status, 200, text);
    return json;
  };

  await done({ action: 'ban', client, reputation: name, duration: '5m', reason: 'test' });
  assert.equal(reputation.check(CLIENT).reason, 'test');
  await done({ action: 'unban', client, reputation: name });
  assert.equal(reputation.isBanned(CLIENT), false);
  await done({ action: 'ban', client: { key: '198.51.100.0/24' }, reputation: name, duration: 'forever' });
  assert.equal(reputation.check('198.51.100.9').until, Number.POSITIVE_INFINITY);

  await done({ action: 'block', client, limiter: id, duration: '5m' });
  assert.equal(limiter.peek(CLIENT).allowed, false);
  await done({ action: 'reset', client, limiter: id });
  assert.equal(limiter.peek(CLIENT).remaining, 10);

  await done({ action: 'reconfigure', limiter: id, limits: [{ limit: 20, window: 60_000 }] });
  assert.equal(limiter.peek(CLIENT).limit, 20);
  const two = [
    { limit: 3, window: 1_000 },
    { limit: 8, window: 60_000 },
  ];
  await done({ action: 'reconfigure', limiter: severalId, limits: two });
  const severalNow = ({ limiters }) => limiters.find((one) => one.name === several.name);
  await stream.until((one) => isDeepStrictEqual(severalNow(one).limits.map(quotaOf), two));
  await done({ action: 'dryRun', limiter: id, on: true });
  assert.equal(limiter.peek(CLIENT).wouldRefuse, false);
  await done({ action: 'dryRun', limiter: id, on: false });
  assert.equal(limiter.peek(CLIENT).wouldRefuse, undefined);

  await done({ action: 'isolate', circuit: circuits[0].id });
  assert.equal(breaker.state('https://peer.example'), 'isolated');
  await done({ action: 'closeCircuit', circuit: circuits[0].id });
  assert.equal(breaker.state('https://peer.example'), 'closed');
});

test('what cannot be done is said, and changes nothing', async (t) => {
  const name = freshName();
  const limiter = new sluice.RateLimiter(name, { limit: 10, window: '1h' });
  new sluice.Reputation(name, BANS);
  const port = await serve(t, sluice.dashboard({ readOnly: false }));
  const stream = await openStream(t, port, '/events');
  const snapshot = await stream.next('snapshot');
  const { id } = snapshot.limiters.find((one) => one.name === name);
  const client = { key: CLIENT };
  const impossible = [
    [{ action: 'format' }, 400, /admit, unban, ban/],
    [{ action: '__proto__' }, 400, /accepted/],
    [{ action: 'admit', client: 'AAAA' }, 404, /not known/],
    [{ action: 'admit', client: id }, 404, /not known/],
    [{ action: 'admit', client: `${id.slice(0, -2)}AA` }, 404, /not known/],
    [{ action: 'admit', client: 7 }, 404, /not known/],
    [{ action: 'unban', client, reputation: name }, 404, /not banned/],
    [{ action: 'unban', client, reputation: 'other' }, 404, /no Reputation/],
    [{ action: 'ban', client: { key: 'no address' }, reputation: name, duration: '1h' }, 400, /address/],
    [{ action: 'ban', client, reputation: name, duration: 'soon' }, 400, /duration/],
    [{ action: 'block', client, limiter: name, duration: '1h' }, 404, /limiter is not known/],
    [{ action: 'reconfigure', limiter: id, limits: [] }, 400, /a list of 1 quotas/],
    [{ action: 'reconfigure', limiter: id, limits: [{ limit: -1, window: 1000 }] }, 400, /limit/],
    [{ action: 'dryRun', limiter: id, on: 'yes' }, 400, /true or false/],
    [{ action: 'isolate', circuit: id }, 404, /circuit is not known/],
  ];
  for (const [body, expected, message] of impossible) {
    const { status, json, text } = await act(port, body);
    assert.equal(status, expected, `${JSON.stringify(body)}: ${text}`);
    assert.match(json.error, message);
  }
  assert.equal(limiter.peek(CLIENT).remaining, 10);
  const { notes } = await stream.next('snapshot');
  assert.deepEqual(
    notes.filter(({ source }) => source === name),
    [],
  );
});

test("a guard's dashboard acts on its own parts only", async (t) => {
  const other = new sluice.RateLimiter(freshName(), { limit: 1, window: '1h' });
  other.tryConsume(CLIENT);
  const guard = sluice.createGuard(freshName(), { rateLimit: { limit: 1, window: '1h' } });
  guard.limiter.tryConsume(CLIENT);
  const port = await serve(t, guard.dashboard({ readOnly: false }));
  const { json } = await act(port, { action: 'admit', client: { key: CLIENT } });
  assert.equal(json.what, `reset in "${guard.name}"`);
  assert.equal(other.peek(CLIENT).remaining, 0);
});

test('actions are published, and reported to onAction; user names the operator, else the address', async (t) => {
  const name = freshName();
  new sluice.RateLimiter(name, { limit: 1, window: '1h' }).tryConsume(CLIENT);
  const [published, reported] = [[], []];
  const listener = (message) => published.push(message);
  diagnostics.subscribe('sluice:dashboard:action', listener);
  t.after(() => diagnostics.unsubscribe('sluice:dashboard:action', listener));
  const onAction = (action) => reported.push(action);
  const port = await serve(t, sluice.dashboard({ readOnly: false, onAction }));
  await act(port, { action: 'admit', client: { key: CLIENT } });
  assert.deepEqual(published, reported);
  const [{ at, ...action }] = reported;
  assert.ok(Math.abs(at - Date.now()) < 60_000);
  assert.equal(action.user, '127.0.0.1');
  assert.deepEqual([action.type, action.action, action.client], ['action', 'admit', CLIENT]);

  const failing = await serve(
    t,
    sluice.dashboard({
      readOnly: false,
      user: () => {
        throw new Error('unknown session');
      },
    }),
  );
  const { status } = await act(failing, { action: 'admit', client: { key: CLIENT } });
  assert.equal(status, 500, 'without a name nothing is done');
  assert.equal(reported.length, 1);
});
