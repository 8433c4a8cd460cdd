// Which requests may see the dashboard.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sluice from '../../index.js';
import { openStream } from '../helpers/dashboard.mjs';
import { ask, serve } from '../helpers/http.mjs';

const ONLY_HERE = /answers only on this machine/;
const NOT_AUTHORIZED = /not authorized/;

/** The status and the text of the answer to a request that comes from any address. */
async function answerTo(handler, { remoteAddress, headers = {}, url = '/' }) {
  return new Promise((resolve) => {
    let status;
    const req = { method: 'GET', url, headers: { host: 'localhost', ...headers }, socket: { remoteAddress } };
    const res = {
      once() {},
      on() {},
      writeHead: (code) => {
        status = code;
      },
      end: (body) => resolve({ status, text: String(body) }),
    };
    handler(req, res);
  });
}

test('without authorize it answers only requests of this machine to this machine', async () => {
  const handler = sluice.dashboard();
  const local = [
    { remoteAddress: '127.0.0.1' },
    { remoteAddress: '127.9.9.9' },
    { remoteAddress: '::1' },
    { remoteAddress: '::ffff:127.0.0.1' },
    { remoteAddress: '127.0.0.1', headers: { host: 'LOCALHOST:3000' } },
    { remoteAddress: '127.0.0.1', headers: { host: '127.0.0.1:3000' } },
    { remoteAddress: '::1', headers: { host: '[::1]:3000' } },
    { remoteAddress: '::1', headers: { host: undefined, ':authority': 'localhost:3000' } },
  ];
  for (const request of local) {
    const { status } = await answerTo(handler, request);
    assert.equal(status, 200, JSON.stringify(request));
  }
  const others = [
    { remoteAddress: '203.0.113.7' },
    { remoteAddress: '10.0.0.1' },
    { remoteAddress: '2001:db8::1' },
    { remoteAddress: undefined },
    { remoteAddress: '127.0.0.1', headers: { 'x-forwarded-for': '203.0.113.7' } },
    { remoteAddress: '127.0.0.1', headers: { forwarded: 'for=203.0.113.7' } },
    { remoteAddress: '127.0.0.1', headers: { 'x-real-ip': '127.0.0.1' } },
    { remoteAddress: '127.0.0.1', headers: { via: '1.1 proxy' } },
    { remoteAddress: '127.0.0.1', headers: { host: 'attacker.example' } },
    { remoteAddress: '127.0.0.1', headers: { host: 'localhost.attacker.example' } },
    { remoteAddress: '127.0.0.1', headers: { host: '127.0.0.1.attacker.example' } },
    { remoteAddress: '127.0.0.1', headers: { host: '10.0.0.1' } },
    { remoteAddress: '127.0.0.1', headers: { host: undefined } },
  ];
  for (const request of others) {
    const { status, text } = await answerTo(handler, request);
    assert.equal(status, 403, JSON.stringify(request));
    assert.match(text, ONLY_HERE);
  }
});

test('authorize decides alone, and only true lets a request in', async () => {
  const remote = { remoteAddress: '203.0.113.7', headers: { via: '1.1 proxy', host: 'admin.example' } };
  const granted = [() => true, async () => true];
  for (const authorize of granted) {
    assert.equal((await answerTo(sluice.dashboard({ authorize }), remote)).status, 200);
  }
  const denied = [
    () => false,
    () => 1,
    () => 'true',
    () => ({}),
    () => undefined,
    async () => false,
    async () => 'yes',
    () => {
      throw new Error('no');
    },
    () => Promise.reject(new Error('no')),
  ];
  for (const authorize of denied) {
    for (const request of [remote, { remoteAddress: '127.0.0.1' }]) {
      const { status, text } = await answerTo(sluice.dashboard({ authorize }), request);
      assert.equal(status, 403, String(authorize));
      assert.match(text, NOT_AUTHORIZED);
    }
  }
});

test('each place asks authorize, with the request', async (t) => {
  const seen = [];
  const authorize = (req) => {
    seen.push(`${req.method} ${req.url}`);
    return false;
  };
  const port = await serve(t, sluice.dashboard({ authorize }));
  for (const place of [
    '/',
    '/app.js',
    '/app.css',
    '/icon.svg',
    '/events',
    '/snapshot',
    '/client',
    '/action',
  ]) {
    for (const method of ['GET', 'POST', 'HEAD']) {
      const { status } = await ask(port, { path: place, method });
      assert.equal(status, 403, `${method} ${place}`);
      assert.equal(seen.pop(), `${method} ${place}`);
    }
  }
});

test('an open stream is asked about again every minute, and ends when it is refused', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'Date'], now: Date.now() });
  let isGranted = true;
  let asked = 0;
  const authorize = async () => {
    asked += 1;
    return isGranted;
  };
  const port = await serve(t, sluice.dashboard({ authorize }));
  const stream = await openStream(t, port, '/events');
  await stream.next('snapshot');
  assert.equal(asked, 1);
  t.mock.timers.tick(59_000);
  await stream.next('snapshot');
  assert.equal(asked, 1);
  t.mock.timers.tick(2_000);
  assert.equal(asked, 2, 'a minute has passed');
  isGranted = false;
  t.mock.timers.tick(61_000);
  await stream.ended;
});
