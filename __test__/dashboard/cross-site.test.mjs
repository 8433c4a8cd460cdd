// Pages of other sites cannot act, nor read what is known of a client.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import sluice from '../../index.js';
import { post } from '../helpers/dashboard.mjs';
import { ask, serve } from '../helpers/http.mjs';
import { freshNames } from '../helpers/setup.mjs';

const freshName = freshNames('cross-site');
const ADMIN = 'https://admin.example';

let limiter;

before(() => {
  limiter = new sluice.RateLimiter(freshName(), { limit: 1, window: '1h' });
});

/** The body of an action that shows whether it was carried out: the client then has its quota again. */
const body = { action: 'admit', client: { key: 'client' } };

async function attempt(port, options, sent = body) {
  limiter.reset('client');
  limiter.tryConsume('client');
  const { status } = await post(port, '/action', sent, options);
  return { status, isDone: limiter.peek('client').remaining === 1 };
}

test('a request acts only where it is from the page itself', async (t) => {
  const port = await serve(t, sluice.dashboard({ readOnly: false, allowedOrigins: [ADMIN] }));
  const own = `http://127.0.0.1:${port}`;
  const without = { 'Sec-Fetch-Site': undefined };
  const accepted = [
    {},
    { 'Content-Type': 'application/json; charset=utf-8' },
    { ...without, Origin: own },
    { Origin: own },
    { 'Sec-Fetch-Site': 'cross-site', Origin: ADMIN },
    { ...without, Origin: ADMIN },
  ];
  for (const headers of accepted) {
    assert.deepEqual(
      await attempt(port, { headers }),
      { status: 200, isDone: true },
      JSON.stringify(headers),
    );
  }
  const refused = [
    without,
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site' },
    { 'Sec-Fetch-Site': 'none' },
    { 'Sec-Fetch-Site': 'cross-site', Origin: own },
    { ...without, Origin: 'null' },
    { ...without, Origin: 'https://attacker.example' },
    { ...without, Origin: 'http://127.0.0.1' },
    { ...without, Origin: `${own}.attacker.example` },
    { ...without, Origin: `${ADMIN}:444` },
    { 'X-Sluice-Dashboard': undefined },
    { 'X-Sluice-Dashboard': 'true' },
    { 'Content-Type': undefined },
    { 'Content-Type': 'text/plain' },
    { 'Content-Type': 'application/x-www-form-urlencoded' },
    { 'Content-Type': 'application/jsonp' },
    { 'Content-Type': 'text/plain; application/json' },
  ];
  for (const headers of refused) {
    assert.deepEqual(
      await attempt(port, { headers }),
      { status: 403, isDone: false },
      JSON.stringify(headers),
    );
    const { status } = await post(port, '/client', { client: { key: 'client' } }, { headers });
    assert.equal(status, 403);
  }
});

test('other methods than POST never act', async (t) => {
  const port = await serve(t, sluice.dashboard({ readOnly: false }));
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
    const headers = {
      'Content-Type': 'application/json',
      'X-Sluice-Dashboard': '1',
      'Sec-Fetch-Site': 'same-origin',
    };
    const { status, headers: sent } = await ask(port, { path: '/action', method, headers });
    assert.equal(status, 405);
    assert.equal(sent.allow, 'POST');
    assert.equal(sent['access-control-allow-origin'], undefined);
  }
});

test('a read-only dashboard refuses every action, and shows clients', async (t) => {
  const port = await serve(t, sluice.dashboard());
  assert.deepEqual(await attempt(port, {}), { status: 403, isDone: false });
  const { status, json } = await post(port, '/client', { client: { key: 'client' } });
  assert.equal(status, 200);
  assert.equal(json.limiters.find(({ name }) => name === limiter.name).remaining, 0);
});

test('a body is at most 16 KiB of JSON', async (t) => {
  const port = await serve(t, sluice.dashboard({ readOnly: false }));
  const padded = (length) => {
    const text = JSON.stringify({ ...body, padding: '' });
    return text.replace('"padding":""', `"padding":"${'x'.repeat(length - text.length)}"`);
  };
  assert.deepEqual(await attempt(port, {}, padded(16 * 1024)), { status: 200, isDone: true });
  assert.deepEqual(await attempt(port, {}, padded(16 * 1024 + 1)), { status: 413, isDone: false });
  const chunked = { headers: { 'Content-Length': undefined, 'Transfer-Encoding': 'chunked' } };
  assert.deepEqual(await attempt(port, chunked, padded(17 * 1024)), { status: 413, isDone: false });
  for (const wrong of ['', '{', '[]', 'null', '"text"', '1']) {
    assert.deepEqual(await attempt(port, {}, wrong), { status: 400, isDone: false }, wrong);
  }
});
