// `sluice` for a url: the dashboard's interface, credentials, and servers that are something else.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import index from '../../index.js';
import { serve } from '../helpers/http.mjs';
import { sluice } from '../helpers/inspected.mjs';
import { freshNames } from '../helpers/setup.mjs';

const freshName = freshNames('url');
const BANS = { maxFailures: 3, findTime: '1h', banTime: '1h', maxBanTime: '1d' };
const CLIENT = '203.0.113.7';
/** Of one test alone: no other server takes its port there once it is closed. */
const CLOSED_HOST = '127.0.0.71';

test('inspect, top and actions work by the url of a dashboard', async (t) => {
  const reputation = new index.Reputation(freshName(), BANS);
  const page = index.dashboard({ path: '/ops/sluice', readOnly: false, title: 'ops' });
  const port = await serve(t, page);
  for (const url of [`http://127.0.0.1:${port}/ops/sluice`, `http://localhost:${port}/ops/sluice/`]) {
    const { status, stdout, stderr } = await sluice(['inspect', url]);
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /^ops {2}process /);
  }
  const url = `http://127.0.0.1:${port}/ops/sluice`;
  const top = await sluice(['top', url]);
  assert.match(top.stdout, /^ops {2}process /);
  const banned = await sluice(['ban', CLIENT, '--server', url, '--in', reputation.name]);
  assert.deepEqual([banned.status, banned.stderr], [0, '']);
  assert.equal(reputation.isBanned(CLIENT), true);
});

test('a dashboard that is read-only refuses', async (t) => {
  const reputation = new index.Reputation(freshName(), BANS);
  const port = await serve(t, index.dashboard());
  const url = `http://127.0.0.1:${port}`;
  const { status, stderr } = await sluice(['ban', CLIENT, '--server', url, '--in', reputation.name]);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /answered 403: This dashboard is read-only; the option readOnly: false allows actions\./,
  );
  assert.equal(reputation.isBanned(CLIENT), false);
});

test('credentials come from --header or the environment, and are not printed', async (t) => {
  const seen = [];
  const authorize = ({ headers }) => {
    seen.push([headers.authorization, headers['x-team']]);
    return headers.authorization === 'Bearer secret';
  };
  const port = await serve(t, index.dashboard({ authorize }));
  const url = `http://127.0.0.1:${port}`;
  const without = await sluice(['inspect', url]);
  assert.equal(without.status, 1);
  assert.match(
    without.stderr,
    /answered 403: .*give credentials with --header or in .* SLUICE_HEADER, never in the url/,
  );
  const given = await sluice([
    'inspect',
    url,
    '--header',
    'Authorization: Bearer secret',
    '--header',
    'X-Team: a',
  ]);
  assert.equal(given.status, 0, given.stderr);
  const env = { SLUICE_HEADER: 'Authorization: Bearer secret\nX-Team: b\n' };
  const fromEnvironment = await sluice(['inspect', url], { env });
  assert.equal(fromEnvironment.status, 0, fromEnvironment.stderr);
  const both = await sluice(['inspect', url, '--header', 'Authorization: Bearer wrong-secret'], { env });
  assert.equal(both.status, 1);
  assert.deepEqual(seen, [
    [undefined, undefined],
    ['Bearer secret', 'a'],
    ['Bearer secret', 'b'],
    ['Bearer wrong-secret', 'b'],
  ]);
  for (const { stdout, stderr } of [without, given, fromEnvironment, both]) {
    assert.doesNotMatch(stdout + stderr, /secret/);
  }
});

test('credentials do not follow a redirect', async (t) => {
  const seen = [];
  const elsewhere = await serve(t, (req, res) => {
    seen.push(req.url);
    res.end();
  });
  const port = await serve(t, (_req, res) => {
    res.writeHead(302, { Location: `http://127.0.0.1:${elsewhere}/\u001b[2J`.replace('\u001b', '%1b') });
    res.end();
  });
  const { status, stderr } = await sluice([
    'inspect',
    `http://127.0.0.1:${port}/sluice`,
    '--header',
    'Cookie: a=1',
  ]);
  assert.equal(status, 1);
  assert.match(stderr, /redirects to http:\/\/127\.0\.0\.1:\d+\/%1b\[2J; give that url/);
  assert.deepEqual(seen, []);
});

test('what is no dashboard is said to be none', async (t) => {
  const answers = {
    '/text/snapshot': 'hello',
    '/json/snapshot': '{"at":1}',
    '/null/snapshot': 'null',
  };
  const port = await serve(t, (req, res) => {
    res.statusCode = Object.hasOwn(answers, req.url) ? 200 : 404;
    res.end(answers[req.url] ?? '\u001b[31mnothing\n');
  });
  for (const [path, message] of [
    ['/text', /something else than JSON: it is no dashboard of sluice/],
    ['/json', /is no dashboard of sluice/],
    ['/null', /is no dashboard of sluice/],
    ['/none', /answered 404: \\u\{1b\}\[31mnothing/],
  ]) {
    const { status, stderr } = await sluice(['inspect', `http://127.0.0.1:${port}${path}`]);
    assert.equal(status, 1);
    assert.match(stderr, message);
  }
});

test('top fails where the stream ends for good', async (t) => {
  const page = index.dashboard();
  const server = http.createServer(page);
  const port = await new Promise((resolve) =>
    server.listen(0, CLOSED_HOST, () => resolve(server.address().port)),
  );
  t.after(() => server.closeAllConnections());
  const running = sluice(['top', `http://${CLOSED_HOST}:${port}`, '--count', '1000']);
  await new Promise((resolve) => server.once('request', resolve));
  await new Promise((resolve) => setImmediate(resolve));
  server.close();
  server.closeAllConnections();
  const { status, stderr } = await running;
  assert.equal(status, 1);
  assert.match(stderr, /is gone: .*ECONNREFUSED|cannot be reached/);
});
