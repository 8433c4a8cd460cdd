// The pages, and llms.txt, name files that exist, and their links lead somewhere.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(path.join(root, 'docs'), { recursive: true })
    .filter((name) => name.endsWith('.md') && !name.startsWith('benchmarks'))
    .map((name) => path.join('docs', name)),
  'examples/README.md',
  'llms.txt',
];
const read = (page) => readFileSync(path.join(root, page), 'utf8');

/** Paths in the text: of a file with its extension, or of a folder with a slash at its end. */
const FILE = /`((?:lib|src|crates|scripts|__test__|examples|benchmark)\/[\w./-]+(?:\.\w+|\/))`/g;

test('every file that a page names exists', () => {
  const named = pages.flatMap((page) => [...read(page).matchAll(FILE)].map(([, file]) => `${page}: ${file}`));
  assert.ok(named.length > 50, `${named.length} files are named`);
  const missing = named.filter((entry) => !existsSync(path.join(root, entry.split(': ')[1])));
  assert.deepEqual(missing, []);
});

/** As GitHub makes them of headings. */
const anchorsOf = (page) =>
  [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

test('every link between pages leads to a file, and to a heading where it names one', () => {
  const broken = [];
  let links = 0;
  for (const page of pages) {
    for (const [, target] of read(page).matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)) {
      links += 1;
      const [file, anchor] = target.split('#');
      const linked = file === '' ? page : path.join(path.dirname(page), file);
      if (!existsSync(path.join(root, linked))) broken.push(`${page}: ${target}`);
      else if (anchor && linked.endsWith('.md') && !anchorsOf(linked).includes(anchor))
        broken.push(`${page}: ${target}`);
    }
  }
  assert.ok(links > 50, `${links} links were found`);
  assert.deepEqual(broken, []);
});
