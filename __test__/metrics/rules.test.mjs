// docs/grafana and docs/prometheus: every query can be parsed, and every metric that they name is on a page.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import prom from 'prom-client';
import { register } from '../../lib/prometheus.js';
import { root } from '../../scripts/addon.mjs';
import { useEverything } from '../helpers/everything.mjs';
import { checkQueries, promtool, skip } from '../helpers/promtool.mjs';

const folder = (name) => path.join(root, 'docs', name);
const boards = readdirSync(folder('grafana')).map((name) => ({
  name,
  text: readFileSync(path.join(folder('grafana'), name), 'utf8'),
}));
const ALERTS = path.join(folder('prometheus'), 'alerts.yml');
const alerts = readFileSync(ALERTS, 'utf8');

/** The queries of a dashboard, with values for the variables of Grafana. */
function queriesOf({ text }) {
  const { panels } = JSON.parse(text);
  const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  return queries.map((query) => query.replaceAll('$__rate_interval', '5m').replaceAll('$job', '.*'));
}

const metricsIn = (text) => [...new Set(text.match(/\bsluice_\w+/g))];

test('every query of the dashboards can be parsed', { skip }, () => {
  const queries = boards.flatMap(queriesOf);
  assert.ok(queries.length > 40, `${queries.length} queries`);
  const { status, output } = checkQueries(queries);
  assert.equal(status, 0, output);
  assert.equal(checkQueries([...queries, 'sum by (']).status, 1);
});

test('the alert rules are valid', { skip }, () => {
  const { status, output } = promtool(['check', 'rules', ALERTS]);
  assert.equal(status, 0, output);
});

test('the alert rules raise what they say', { skip }, () => {
  const cases = path.join(root, '__test__', 'metrics', 'alerts.yml');
  const { status, output } = promtool(['test', 'rules', cases]);
  assert.equal(status, 0, output);
});

test('every metric that they name has a sample', async (t) => {
  const registry = register(new prom.Registry(), { histograms: true });
  await useEverything(t, 'rules');
  const scraped = new Set(
    [...(await registry.metrics()).matchAll(/^(sluice_\w+)[{ ]/gm)].map(([, name]) => name),
  );
  const rules = alerts.replaceAll(/^ *#.*$/gm, '');
  const named = metricsIn([...boards.map(({ text }) => text), rules].join('\n'));
  assert.ok(named.length > 40, `${named.length} metrics`);
  assert.deepEqual(
    named.filter((name) => !scraped.has(name)),
    [],
  );
});

test('panels of a dashboard do not overlap, and have what Grafana asks for', () => {
  for (const { name, text } of boards) {
    const { panels, title, uid, schemaVersion } = JSON.parse(text);
    assert.ok(title && uid && schemaVersion > 0, name);
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
      assert.ok(x + w <= 24, `${name}: a panel is wider than the page`);
      return Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`);
    });
    assert.equal(new Set(cells).size, cells.length, `${name}: panels overlap`);
    for (const panel of panels) assert.ok(panel.type === 'row' || panel.targets.length > 0, panel.title);
  }
});
