// sluice/opentelemetry: the counts of the process, as readers of OpenTelemetry's SDK get them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { metrics as api } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import sluice from '../../index.js';
import { register } from '../../lib/opentelemetry.js';
import { useEverything } from '../helpers/everything.mjs';
import { startPeers } from '../helpers/peer.mjs';
import { freshNames } from '../helpers/setup.mjs';

const freshName = freshNames('opentelemetry');

/** A provider whose `collect()` resolves to what its reader exports: points by the names of their instruments. */
function provider(t) {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  t.after(() => meterProvider.shutdown());
  const collect = async () => {
    exporter.reset();
    await meterProvider.forceFlush();
    const scopes = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics);
    const all = scopes.filter(({ scope }) => scope.name === 'sluice').flatMap(({ metrics }) => metrics);
    return new Map(all.map((metric) => [metric.descriptor.name, metric]));
  };
  return { meterProvider, collect };
}

const pointOf = (metrics, name, labels) =>
  metrics.get(name)?.dataPoints.find(({ attributes }) => {
    return (
      Object.keys(attributes).length === Object.keys(labels).length &&
      Object.entries(labels).every(([label, value]) => attributes[label] === value)
    );
  })?.value;

test('every metric of the page is observed, with its value, its unit and its kind', async (t) => {
  const { meterProvider, collect } = provider(t);
  t.after(register({ meterProvider, histograms: true }));
  await useEverything(t, freshName());
  const metrics = await collect();
  const page = sluice.metrics({ histograms: true });
  const types = new Map([...page.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
  let compared = 0;
  for (const [, name, labels = '', value] of page.matchAll(/^(sluice_\w+)(?:\{(.*)\})? (\S+)$/gm)) {
    if (name.startsWith('sluice_thread_') || name.includes('refusing')) continue;
    const observed = name.replace('sluice_', 'sluice.').replace(/_total$/, '');
    const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, of]) => [label, of]);
    const point = pointOf(metrics, observed, Object.fromEntries(pairs));
    // Laps of the event loop go on while the two are read.
    if (name.includes('_laps_')) assert.ok(point <= Number(value), `${name}{${labels}}`);
    else assert.equal(point, Number(value), `${name}{${labels}}`);
    const { dataPointType, isMonotonic } = metrics.get(observed);
    const isCounter = types.get(name) !== 'gauge';
    assert.deepEqual([dataPointType, isMonotonic ?? false], isCounter ? [3, true] : [2, false], name);
    compared += 1;
  }
  assert.ok(compared > 200, `${compared} samples`);
  const unitOf = (name) => metrics.get(name).descriptor.unit;
  assert.deepEqual(['sluice.hub_bytes', 'sluice.guard_decision_seconds_sum'].map(unitOf), ['By', 's']);
});

test('counts of other threads are observed', async (t) => {
  const name = freshName();
  const { meterProvider, collect } = provider(t);
  t.after(register({ meterProvider }));
  const [peer] = startPeers(t, 1);
  await peer.run(({ load }, name) => {
    const limiter = new (load().RateLimiter)(name, { limit: 5, window: '1h' });
    for (let one = 0; one < 8; one++) limiter.tryConsume('key');
  }, name);
  await peer.end();
  const metrics = await collect();
  assert.equal(pointOf(metrics, 'sluice.limiter_allowed', { limiter: name }), 5);
  assert.equal(pointOf(metrics, 'sluice.limiter_refused', { limiter: name }), 3);
});

test('the function that is returned ends the observation', async (t) => {
  const { meterProvider, collect } = provider(t);
  const end = register({ meterProvider });
  const limiter = new sluice.RateLimiter(freshName(), { limit: 5, window: '1h' });
  const allowed = async () => pointOf(await collect(), 'sluice.limiter_allowed', { limiter: limiter.name });
  limiter.tryConsume('key');
  assert.equal(await allowed(), 1);
  end();
  limiter.tryConsume('key');
  // A reader keeps the last value that it has got.
  assert.equal(await allowed(), 1);
});

test('guards: only these guards and their parts', async (t) => {
  const { meterProvider, collect } = provider(t);
  const guard = sluice.createGuard(freshName());
  t.after(register({ meterProvider, guards: [guard.name] }));
  const points = [...(await collect()).values()].flatMap(({ dataPoints }) => dataPoints);
  assert.ok(points.length > 5);
  assert.ok(points.every(({ attributes }) => attributes.guard === guard.name));
});

test('without meterProvider, the global one', async (t) => {
  const { meterProvider, collect } = provider(t);
  api.setGlobalMeterProvider(meterProvider);
  t.after(() => api.disable());
  t.after(register());
  assert.ok((await collect()).has('sluice.limiter_size'));
});

for (const [options, message] of [
  [{ meterProvider: {} }, /register meterProvider is .*; accepted: a MeterProvider of OpenTelemetry/],
  [{ meter: 1 }, /register has no option "meter"; accepted: guards, histograms, meterProvider/],
]) {
  test(`rejected: ${message.source}`, () => {
    assert.throws(() => register(options), { code: 'ERR_SLUICE_INVALID_OPTION', message });
  });
}
