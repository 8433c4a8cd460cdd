// sluice/prometheus: the counts of the process in a registry of prom-client.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import prom from 'prom-client';
import sluice from '../../index.js';
import { register } from '../../lib/prometheus.js';
import { requestFrom, useEverything } from '../helpers/everything.mjs';
import { startPeers } from '../helpers/peer.mjs';
import { promtool, skip } from '../helpers/promtool.mjs';
import { freshNames } from '../helpers/setup.mjs';

const freshName = freshNames('prometheus');

/** The value of the sample of a registry's page that begins so. */
async function valueOn(registry, sample) {
  const line = (await registry.metrics()).split('\n').find((one) => one.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length + 1));
}

/** Registers in a thread, and returns its page. */
const pageOf = async ({ require }, { collector, options }) => {
  const registry = new (require('prom-client').Registry)();
  require(collector).register(registry, options);
  return registry.metrics();
};

/** The samples of a page that do not depend on the thread that answers. */
const countsOn = (page) => page.split('\n').filter((line) => !/^#|sluice_thread_|^$/.test(line));

test('the page has what metrics() has', async (t) => {
  const registry = register(new prom.Registry());
  await useEverything(t, freshName());
  const samples = countsOn(await registry.metrics());
  assert.ok(samples.length > 140, `${samples.length} samples`);
  assert.deepEqual(samples.sort(), countsOn(sluice.metrics()).sort());
});

test('parts of guards have the label guard, others only their own', async () => {
  const registry = register(new prom.Registry());
  const [name, alone] = [freshName(), freshName()];
  sluice.createGuard(name, { rateLimit: { limit: 1, window: '1h' } }).check(requestFrom('192.0.2.1'));
  const limiter = new sluice.RateLimiter(alone, { limit: 1, window: '1h' });
  for (let one = 0; one < 3; one++) limiter.tryConsume('key');
  const allowed = 'sluice_limiter_allowed_total';
  assert.equal(await valueOn(registry, `${allowed}{guard="${name}",limiter="${name}"}`), 1);
  assert.equal(await valueOn(registry, `${allowed}{limiter="${name}"}`), undefined);
  assert.equal(await valueOn(registry, `${allowed}{limiter="${alone}"}`), 1);
  assert.equal(await valueOn(registry, `sluice_limiter_refused_total{limiter="${alone}"}`), 2);
});

test('keys are no labels', async (t) => {
  const registry = register(new prom.Registry());
  await useEverything(t, freshName());
  assert.doesNotMatch(await registry.metrics(), /192\.0\.2|"key"|"target"|"double"/);
});

test('every thread shows the same counts', async (t) => {
  const name = freshName();
  const peers = startPeers(t, 3);
  const consume = ({ load }, name) => {
    const limiter = new (load().RateLimiter)(name, { limit: 50, window: '1h' });
    for (let one = 0; one < 40; one++) limiter.tryConsume('key');
  };
  await Promise.all(peers.map((peer) => peer.run(consume, name)));
  const collector = new URL('../../lib/prometheus.js', import.meta.url).pathname;
  const pages = await Promise.all(peers.map((peer) => peer.run(pageOf, { collector })));
  for (const page of pages) {
    assert.ok(page.includes(`sluice_limiter_allowed_total{limiter="${name}"} 50\n`));
    assert.ok(page.includes(`sluice_limiter_refused_total{limiter="${name}"} 70\n`));
  }
});

for (const [aggregate, expected] of [
  ['processes', 6],
  ['threads', 2],
]) {
  test(`joined pages of ${aggregate} count ${expected} of 2`, async () => {
    const name = freshName();
    const limiter = new sluice.RateLimiter(name, { limit: 5, window: '1h' });
    for (let one = 0; one < 2; one++) limiter.tryConsume('key');
    const registries = [1, 2, 3].map(() => register(new prom.Registry(), { aggregate, histograms: true }));
    const all = await Promise.all(registries.map((registry) => registry.getMetricsAsJSON()));
    const joined = prom.AggregatorRegistry.aggregate(all);
    assert.equal(await valueOn(joined, `sluice_limiter_allowed_total{limiter="${name}"}`), expected);
  });
}

test('instances that are made later are on the next page, destroyed ones are not', async () => {
  const registry = register(new prom.Registry());
  const name = freshName();
  const size = `sluice_limiter_size{limiter="${name}"}`;
  assert.equal(await valueOn(registry, size), undefined);
  new sluice.RateLimiter(name, { limit: 1, window: '1h' }).tryConsume('key');
  assert.equal(await valueOn(registry, size), 1);
  sluice.RateLimiter.destroy(name);
  assert.equal(await valueOn(registry, size), undefined);
});

test('guards: only these guards and their parts', async () => {
  const [one, other] = [1, 2].map(() => sluice.createGuard(freshName()));
  new sluice.RateLimiter(freshName(), { limit: 1, window: '1h' });
  const page = await register(new prom.Registry(), { guards: [one] }).metrics();
  const samples = page.split('\n').filter((line) => /^sluice_/.test(line));
  assert.ok(samples.length > 10);
  assert.ok(samples.every((sample) => sample.includes(`guard="${one.name}"`)));
  assert.ok(!page.includes(other.name));
});

test('a second call replaces the first, and other metrics of the registry stay', async () => {
  const registry = new prom.Registry();
  new prom.Counter({ name: 'mine_total', help: 'Mine.', registers: [registry] }).inc(3);
  const guard = sluice.createGuard(freshName());
  register(registry);
  register(registry, { guards: [guard] });
  assert.equal(await valueOn(registry, 'mine_total'), 3);
  const named = (await registry.metrics()).match(/guard="[^"]*"/g);
  assert.deepEqual([...new Set(named)], [`guard="${guard.name}"`]);
});

test('a metric of another package that has the name of one is an error of the registry', () => {
  const registry = new prom.Registry();
  new prom.Gauge({ name: 'sluice_banned', help: 'Theirs.', registers: [registry] });
  assert.throws(() => register(registry), /sluice_banned has already been registered/);
});

test('default labels and resetMetrics() leave the counts as they are', async () => {
  const name = freshName();
  const registry = register(new prom.Registry());
  registry.setDefaultLabels({ app: 'shop' });
  new sluice.RateLimiter(name, { limit: 1, window: '1h' }).tryConsume('key');
  registry.resetMetrics();
  assert.equal(await valueOn(registry, `sluice_limiter_allowed_total{limiter="${name}",app="shop"}`), 1);
});

test('the OpenMetrics format', async () => {
  const name = freshName();
  const registry = register(new prom.Registry(prom.Registry.OPENMETRICS_CONTENT_TYPE));
  new sluice.RateLimiter(name, { limit: 1, window: '1h' }).tryConsume('key');
  for (let scrape = 0; scrape < 2; scrape++) {
    const page = await registry.metrics();
    assert.match(page, /^# TYPE sluice_limiter_allowed counter$/m);
    assert.ok(page.includes(`sluice_limiter_allowed_total{limiter="${name}"} 1\n`));
    assert.ok(page.endsWith('# EOF\n'));
  }
});

test('promtool finds nothing wrong with the page', { skip }, async (t) => {
  const registry = register(new prom.Registry(), { histograms: true });
  await useEverything(t, freshName());
  const pages = [await registry.metrics(), sluice.metrics({ histograms: true })];
  for (const input of pages) {
    assert.deepEqual(promtool(['check', 'metrics'], { input }), { status: 0, output: '' });
  }
});

for (const [registry, options, message] of [
  [undefined, {}, /register registry is undefined; accepted: a Registry of prom-client/],
  [
    new prom.Registry(),
    { histogram: true },
    /register has no option "histogram"; accepted: guards, histograms/,
  ],
  [
    new prom.Registry(),
    { guards: ['none'] },
    /accepted: an array of guards, or of names of guards that exist/,
  ],
  [new prom.Registry(), { aggregate: 'all' }, /accepted: "processes", "threads"/],
]) {
  test(`rejected: ${message.source}`, () => {
    assert.throws(() => register(registry, options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
  });
}
