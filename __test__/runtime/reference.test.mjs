// docs/reference.md and docs/errors.md name everything that a user can meet: exports, options, headers, codes, metrics.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import sluice from '../../index.js';
import layouts from '../../lib/runtime/layouts.js';
import testing from '../../lib/testing.js';
import { root } from '../../scripts/addon.mjs';
import { reference } from '../../scripts/reference.mjs';
import { entriesOf, NODE_ONLY } from '../../scripts/test-runtimes/known.mjs';
import { pageWith } from '../../scripts/test-runtimes/page.mjs';

const read = (file) => readFileSync(path.join(root, file), 'utf8');
const page = read('docs/reference.md');
const errors = read('docs/errors.md');

/** The text of all files under a folder whose names end so. */
function sourcesIn(folder, end) {
  const names = readdirSync(path.join(root, folder), { recursive: true }).filter((name) =>
    name.endsWith(end),
  );
  return names.map((name) => read(path.join(folder, name))).join('\n');
}

const found = (text, pattern) => new Set([...text.matchAll(pattern)].map(([, name]) => name));
const sorted = (names) => [...names].sort();
const scripts = sourcesIn('lib', '.js');
const rust = sourcesIn('src', '.rs') + sourcesIn('crates/core/src', '.rs');

test('docs/reference.md is what "node scripts/reference.mjs" writes', () => {
  assert.equal(page, reference());
});

test('the reference has every export', () => {
  const exported = [...Object.keys(sluice), ...Object.keys(testing)];
  const types = [...read('index.d.ts').matchAll(/^ {2}(\w+),$/gm)].map(([, name]) => name);
  assert.ok(exported.length > 14 && types.length > 60, `${exported.length}, ${types.length}`);
  const missing = [...exported, ...types].filter((name) => !page.includes(`| [\`${name}\`](`));
  assert.deepEqual(missing, []);
});

/** Options that JavaScript checks by itself are keys of a schema. */
const SCHEMA =
  /^ {2}(\w+): (?:func|duration|integer|boolean|oneOf|strings|object|quota|abortSignal|onMismatch)\b/gm;

test('the reference has every option that is declared or checked', () => {
  const declared = Object.values(layouts.OPTIONS).flatMap(Object.keys);
  const checked = sorted(found(scripts, SCHEMA));
  assert.ok(declared.length > 60 && checked.length > 10, `${declared.length}, ${checked.length}`);
  const rows = found(page, /^\| `(\w+)` \| \[/gm);
  const inner = new Set(['calls', 'time', 'status']);
  const missing = [...declared, ...checked].filter((name) => !rows.has(name) && !inner.has(name));
  assert.deepEqual(missing, []);
});

test('the reference has every header of the quota, and every metric', () => {
  const names = found(read('lib/guard/headers.js'), /: '((?:X-)?RateLimit[\w-]*)'/g);
  assert.equal(names.size, 5);
  for (const name of names) assert.ok(page.includes(`[\`${name}\`](`), name);
  const metrics = found(scripts, /'(sluice_[a-z_]+)'/g);
  assert.ok(metrics.size > 30);
  for (const name of metrics) assert.ok(page.includes(`| \`${name}\` |`), name);
});

test('docs/errors.md has a heading for each code of the sources and the types, and for no other', () => {
  const thrown = new Set([
    ...found(scripts, /(?:SluiceError|invalid)\(\s*'([A-Z_]+)'/g),
    ...found(rust, /throw_invalid\(\s*env,\s*"([A-Z_]+)"/g),
    ...found(rust, /Self::\w+ \{ \.\. \} => "([A-Z_]+)"/g),
  ]);
  // Of a scope beyond the process, which the next part of the API has.
  thrown.add('SCOPE_UNAVAILABLE');
  const typed = found(read('lib/runtime/index.d.ts'), /^ {2}\| '([A-Z_]+)'/gm);
  const headings = found(errors, /^### ERR_SLUICE_([A-Z_]+)$/gm);
  assert.deepEqual(sorted(thrown), sorted(typed));
  // Loading fails with a plain error, as the class is not there yet.
  const ofLoading = found(scripts, /code: `\$\{PREFIX\}([A-Z_]+)`/g);
  assert.deepEqual([...ofLoading], ['NO_BINARY']);
  assert.deepEqual(sorted(headings), sorted(new Set([...typed, ...ofLoading])));
});

test('docs/errors.md has a heading for each warning, and for no other', () => {
  const emitted = found(scripts, /'(SLUICE_[A-Z_]+)'/g);
  const headings = found(errors, /^### (SLUICE_[A-Z_]+)$/gm);
  assert.deepEqual(sorted(headings), sorted(emitted));
});

test('each section of docs/errors.md says what happened and what to do', () => {
  for (const [, code, text] of errors.matchAll(/^### (\w+)\n([\s\S]*?)(?=^##)/gm)) {
    const paragraphs = text.trim().split('\n\n');
    assert.ok(paragraphs.length >= 2 || code === 'ERR_SLUICE_SCOPE_UNAVAILABLE', code);
  }
});

test('docs/runtimes.md has what scripts/test-runtimes/known.mjs says, which names files that exist', () => {
  const runtimes = read('docs/runtimes.md');
  assert.equal(runtimes, pageWith(runtimes));
  const named = [
    ...NODE_ONLY,
    ...['bun', 'deno'].flatMap(entriesOf).flatMap(({ tests }) => Object.keys(tests)),
  ];
  assert.ok(named.length > 30);
  const missing = named.filter((file) => !existsSync(path.join(root, '__test__', `${file}.test.mjs`)));
  assert.deepEqual(missing, []);
});
