// Whatever a user can meet is found by one search in docs/: as a heading, in a row of a table, or in code.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import layouts from '../../lib/runtime/layouts.js';
import { root } from '../../scripts/addon.mjs';
import { PAGES, READ_HEADERS, SENT_HEADERS } from '../../scripts/reference/places.mjs';
import { declarationsIn, eventsOf } from '../../scripts/reference/types.mjs';

const textsIn = (folder, end) =>
  readdirSync(path.join(root, folder), { recursive: true })
    .filter((name) => name.endsWith(end) && !name.endsWith(path.join('page', 'app.js')))
    .map((name) => readFileSync(path.join(root, folder, name), 'utf8'))
    .join('\n');

const scripts = textsIn('lib', '.js');
const types = textsIn('lib', '.d.ts');
const docs = textsIn('docs', '.md');

/** What a search should hit: headings, rows of tables, and code between backticks; blocks of code are examples only. */
const prose = docs.replaceAll(/^```[\s\S]*?^```$/gm, '');
const places = [
  ...[...prose.matchAll(/^#+ .+$|^\|.+$/gm)].map(([line]) => line),
  ...[...prose.matchAll(/`[^`]+`/g)].map(([code]) => code),
].join('\n');

const found = (text, pattern) => [...new Set([...text.matchAll(pattern)].map(([, name]) => name))];
const missing = (names) => names.filter((name) => !new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(places));

/** At least this many are there now, so that a pattern that finds nothing fails. */
function areNamed(names, atLeast) {
  assert.ok(names.length >= atLeast, `${names.length} names`);
  assert.deepEqual(missing(names), []);
}

test('every option', () => {
  const declared = Object.values(layouts.OPTIONS).flatMap(Object.keys);
  const interfaces = Object.keys(PAGES)
    .flatMap(declarationsIn)
    .filter(({ name }) => name.endsWith('Options'));
  const typed = interfaces.flatMap(({ body }) => found(body, /^ {2}(\w+)\??:/gm));
  areNamed([...new Set([...declared, ...typed])], 100);
});

test('every code of errors and warnings', () => {
  const errors = found(types, /^ {2}\| '([A-Z_]+)'/gm).map((code) => `ERR_SLUICE_${code}`);
  areNamed([...errors, 'ERR_SLUICE_NO_BINARY', ...found(scripts, /'(SLUICE_[A-Z_]+)'/g)], 36);
});

/** Calls that write a header, keys of objects of headers (of HTTP/2 in lower case, after the status), lines on a socket. */
const WRITES = /(?:setHeader|\.header|appendHeader)\(\s*'([\w-]+)'/g;
const KEYS = /^\s+'?([A-Z][a-z]+(?:-[A-Z][a-z]+)+|Connection|Vary|Allow)'?:/gm;
const STREAM_HEADERS = /':status':[^}]*\}/g;
const LINES = /(?:\\r\\n|[`'])([A-Z][\w-]+): /g;

test('every header of answers, and every header of requests that decides something', () => {
  const quota = found(textsIn('lib/guard', 'headers.js'), /: '((?:X-)?RateLimit[\w-]*)'/g);
  const written = [WRITES, KEYS, LINES].flatMap((pattern) => found(scripts, pattern));
  for (const [headers] of scripts.matchAll(STREAM_HEADERS)) written.push(...found(headers, /'(\w[\w-]+)':/g));
  const canonical = written.map((name) => name.replaceAll(/(?:^|-)[a-z]/g, (letter) => letter.toUpperCase()));
  const sent = [...new Set([...quota, ...canonical])];
  areNamed(sent, 12);
  assert.deepEqual(
    sent.filter((name) => !Object.hasOwn(SENT_HEADERS, name)),
    [],
    'not in the reference',
  );
  areNamed(Object.keys(READ_HEADERS), 8);
});

test('every event', () => {
  const events = Object.keys(PAGES).flatMap(declarationsIn).flatMap(eventsOf);
  const emitted = found(scripts, /listeners\.emit\('(\w+)'/g);
  assert.deepEqual(
    emitted.filter((event) => !events.includes(event)),
    [],
    'not in the types',
  );
  areNamed([...new Set(events)], 13);
});

test('every metric', () => {
  areNamed(found(scripts, /'(sluice_[a-z_]+)'/g), 35);
});
