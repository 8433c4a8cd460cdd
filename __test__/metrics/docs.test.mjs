// docs/observability.md has a row for every metric, with its type, labels, unit and help; and the alerts there are.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import components from '../../lib/metrics/components.js';
import guards from '../../lib/metrics/guard-families.js';
import latencies from '../../lib/metrics/latency-families.js';
import declared from '../../lib/metrics/process-families.js';
import threads from '../../lib/metrics/thread-families.js';
import channels from '../../lib/observation/channels.js';
import { root } from '../../scripts/addon.mjs';

const read = (...names) => readFileSync(path.join(root, 'docs', ...names), 'utf8');
const page = read('observability.md');
const UNITS = { s: 'seconds', By: 'bytes', '': '' };

const OWNERS = [
  { label: 'guard', families: [...guards.GUARD, ...guards.IN_FLIGHT] },
  ...components.COMPONENTS,
  { label: 'thread', families: threads.THREAD },
  { label: undefined, families: latencies.LATENCIES },
];

test('every metric has its row', () => {
  const rows = OWNERS.flatMap(({ label, families }) =>
    families.map(({ name, type, labels, unit, help }) => {
      const all = [label, ...labels].filter((one) => one !== undefined).map((one) => `\`${one}\``);
      return `| \`${name}\` | ${type} | ${all.join(', ')} | ${UNITS[unit]} | ${help} |`;
    }),
  );
  assert.equal(rows.length, declared.DECLARED.length + latencies.LATENCIES.length);
  assert.deepEqual(page.match(/^\| `sluice_\w+` \| (?:counter|gauge|histogram) .*$/gm), rows);
});

test('every alert is listed', () => {
  const named = [...read('prometheus', 'alerts.yml').matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  const rows = page.match(/^\| `Sluice\w+`.*$/gm).join('\n');
  const listed = [...rows.matchAll(/`(Sluice\w+)`/g)].map(([, name]) => name);
  assert.deepEqual(listed.sort(), named.sort());
});

test('every channel is listed', () => {
  const all = Object.values(channels.CHANNELS).flatMap((of) => Object.values(of));
  const rows = page.match(/^\| `sluice:.*$/gm).join('\n');
  const listed = [...rows.matchAll(/`(sluice:[\w:-]+)`/g)].map(([, name]) => name);
  assert.deepEqual(listed.sort(), all.map(({ name }) => String(name)).sort());
});
