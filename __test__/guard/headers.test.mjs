// The headers about the quota: RateLimit of the IETF drafts 08 to 11, or X-RateLimit.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import express from 'express';
import sluice from '../../lib/express.js';
import testing from '../../lib/testing.js';
import { ask, serve } from '../helpers/http.mjs';

let clock;
before(() => {
  clock = testing.manualClock();
  clock.set(1_000_000);
});
after(() => clock.restore());

/** Starts a server behind the given guards and returns its port. */
async function guarded(t, ...guards) {
  const app = express();
  for (const guard of guards) app.use(guard);
  app.get('/', (_req, res) => res.send('served'));
  return serve(t, app);
}

function rateLimitFields({ headers }) {
  return [headers['ratelimit-policy'], headers.ratelimit];
}

function legacyFields({ headers }) {
  return ['limit', 'remaining', 'reset'].map((field) => headers[`x-ratelimit-${field}`]);
}

test('RateLimit-Policy has quota and window; RateLimit has the remaining units and the time until the next', async (t) => {
  const port = await guarded(t, sluice({ name: 'search', rateLimit: { limit: 2, window: '10s' } }));
  assert.deepEqual(rateLimitFields(await ask(port)), ['"search";q=2;w=10', '"search";r=1;t=5']);
  assert.deepEqual(rateLimitFields(await ask(port)), ['"search";q=2;w=10', '"search";r=0;t=5']);
});

test('t is rounded up to whole seconds', async (t) => {
  const port = await guarded(t, sluice({ name: 'rounded', rateLimit: { limit: 2, window: '10s' } }));
  await ask(port);
  clock.advance(1);
  const [, state] = rateLimitFields(await ask(port));
  assert.equal(state, '"rounded";r=0;t=5');
});

test('refusals have the headers too', async (t) => {
  const port = await guarded(t, sluice({ name: 'refused', rateLimit: { limit: 1, window: '10s' } }));
  await ask(port);
  const refused = await ask(port);
  assert.equal(refused.status, 429);
  assert.deepEqual(rateLimitFields(refused), ['"refused";q=1;w=10', '"refused";r=0;t=10']);
});

test('w is left out for a window that is not a whole number of seconds', async (t) => {
  const port = await guarded(t, sluice({ name: 'brief', rateLimit: { limit: 2, window: 1500 } }));
  assert.deepEqual(rateLimitFields(await ask(port)), ['"brief";q=2', '"brief";r=1;t=1']);
});

test('two guards on one request both add their fields', async (t) => {
  const everything = sluice({ name: 'everything', rateLimit: { limit: 10, window: '10s' } });
  const login = sluice({ name: 'login', rateLimit: { limit: 5, window: '60s' } });
  assert.deepEqual(rateLimitFields(await ask(await guarded(t, everything, login))), [
    '"everything";q=10;w=10, "login";q=5;w=60',
    '"everything";r=9;t=1, "login";r=4;t=12',
  ]);
});

for (const [name, written] of [
  ['say "hi"', '"say \\"hi\\""'],
  ['back\\slash', '"back\\\\slash"'],
  ['Zürich', '"Z%C3%BCrich"'],
  ['two\r\nlines', '"two%0D%0Alines"'],
]) {
  test(`the name ${JSON.stringify(name)} is escaped as ${written}`, async (t) => {
    const port = await guarded(t, sluice({ name, rateLimit: { limit: 2, window: '10s' } }));
    assert.deepEqual(rateLimitFields(await ask(port)), [`${written};q=2;w=10`, `${written};r=1;t=5`]);
  });
}

test('RateLimit-Policy follows reconfigure', async (t) => {
  const middleware = sluice({ name: 'growing', rateLimit: { limit: 2, window: '10s' } });
  const port = await guarded(t, middleware);
  await ask(port);
  middleware.guard.limiter.reconfigure({ limit: 20, window: '1m' });
  const [policy] = rateLimitFields(await ask(port));
  assert.equal(policy, '"growing";q=20;w=60');
});

test("headers: 'legacy' sends limit, remaining, and the seconds until the quota is full", async (t) => {
  const options = { name: 'legacy', rateLimit: { limit: 2, window: '10s' }, headers: 'legacy' };
  const port = await guarded(t, sluice(options));
  assert.deepEqual(legacyFields(await ask(port)), ['2', '1', '5']);
  const last = await ask(port);
  assert.deepEqual(legacyFields(last), ['2', '0', '10']);
  assert.deepEqual(rateLimitFields(last), [undefined, undefined]);
});

test('headers: false sends none, but refusals keep Retry-After', async (t) => {
  const port = await guarded(
    t,
    sluice({ name: 'silent', rateLimit: { limit: 1, window: '10s' }, headers: false }),
  );
  const served = await ask(port);
  assert.deepEqual([...rateLimitFields(served), ...legacyFields(served)], Array(5).fill(undefined));
  assert.equal((await ask(port)).headers['retry-after'], '10');
});

for (const [order, limits, shown] of [
  ['the first', [2, 100], ['2', '1', '5']],
  ['the second', [100, 2], ['2', '1', '5']],
]) {
  test(`legacy headers of two guards describe the guard with fewer remaining requests: ${order}`, async (t) => {
    const guards = limits.map((limit) =>
      sluice({ name: `${order} ${limit}`, rateLimit: { limit, window: '10s' }, headers: 'legacy' }),
    );
    const port = await guarded(t, ...guards);
    assert.deepEqual(legacyFields(await ask(port)), shown);
    await ask(port);
    const refused = await ask(port);
    assert.equal(refused.status, 429);
    assert.deepEqual(legacyFields(refused), ['2', '0', '10']);
  });
}

test('with equal remaining requests, legacy headers describe the guard that resets later', async (t) => {
  const guards = ['10s', '1h', '20s'].map((window) =>
    sluice({
      name: `equal ${window}`,
      rateLimit: { limit: 3, window, algorithm: 'fixed-window' },
      headers: 'legacy',
    }),
  );
  assert.deepEqual(legacyFields(await ask(await guarded(t, ...guards))), ['3', '2', '3600']);
});

test('legacy headers compare numbers of remaining requests, not shares of a limit', async (t) => {
  const wide = sluice({ name: 'wide', rateLimit: { limit: 100, window: '1h' }, headers: 'legacy' });
  const narrow = sluice({ name: 'narrow', rateLimit: { limit: 5, window: '1h' }, headers: 'legacy' });
  for (let i = 0; i < 50; i++) wide.guard.limiter.penalize('127.0.0.1');
  const [limit, remaining] = legacyFields(await ask(await guarded(t, wide, narrow)));
  assert.deepEqual([limit, remaining], ['5', '4']);
});
