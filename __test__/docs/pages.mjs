// Every program of README.md and of the pages runs as it stands; `npm run test:docs` starts this.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { root } from '../../scripts/addon.mjs';
import { blocksOf, isModule } from './blocks.mjs';
import { runProgram } from './program.mjs';
import { compile, makeProject } from './project.mjs';

const PROGRAMS_AT_ONCE = 3;
const wanted = process.env.SNIPPET_PAGES?.split(',') ?? [''];

const project = mkdtempSync(path.join(os.tmpdir(), 'sluice-docs-'));
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(path.join(root, 'docs'), { recursive: true }).map((name) => path.join('docs', name)),
]
  .map((name) => name.split(path.sep).join('/'))
  .filter((name) => name.endsWith('.md') && !name.startsWith('docs/benchmarks/'))
  .filter((name) => wanted.some((part) => name.includes(part)));
const blocks = pages.flatMap(programsOf);

/** The blocks of a page, each with its folder and its file. */
function programsOf(page) {
  const all = blocksOf(readFileSync(path.join(root, page), 'utf8'));
  for (const block of all) {
    block.page = page;
    block.folder = path.join(project, page.replaceAll(/[/.]/g, '-'), String(block.line));
    block.file ??= `program.${extensionOf(block)}`;
  }
  return all.map((block) => ({ ...block, files: filesFor(block, all) }));
}

function extensionOf({ language, text }) {
  if (language === 'js') return isModule(text) ? 'mjs' : 'cjs';
  return language === 'ts' ? 'mts' : language;
}

/** Its own file, and those of its page that have another name; of two with one name, the first. */
function filesFor(block, all) {
  const named = all.filter(({ kind, file }) => kind === 'file' && file !== block.file).reverse();
  return [...named, block].map(({ file, text }) => [file, text]);
}

function write({ folder, files }) {
  for (const [name, text] of files) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
}

const isTyped = ({ file }) => /\.m?ts$/.test(file);
const programs = blocks.filter(({ kind }) => kind === 'program');
const runs = new Map();

/** The lines that a program prints; it runs once, however often this is called. */
function linesOf(block) {
  const { page, line, folder } = block;
  const key = `${page}:${line}`;
  if (!runs.has(key)) {
    const file = path.join(folder, block.file.replace(/\.(m?)ts$/, '.$1js'));
    runs.set(key, runProgram({ file, cwd: folder, project, block }));
  }
  return runs.get(key);
}

makeProject(project);
for (const block of programs) write(block);
compile(
  project,
  programs.filter(isTyped).map(({ folder, file }) => path.join(folder, file)),
);
after(() => rmSync(project, { recursive: true, force: true }));

suite('pages', { concurrency: PROGRAMS_AT_ONCE }, () => {
  for (const block of programs) {
    test(`${block.page}:${block.line}`, async () => {
      const printed = await linesOf(block);
      if (!block.above) return;
      const above = programs.find(({ page, line }) => page === block.page && line === block.above.line);
      assert.deepEqual(printed, await linesOf(above), 'it prints something else than the program above');
    });
  }
  for (const { page, line, fragment } of blocks.filter(({ kind }) => kind === 'fragment')) {
    test(`${page}:${line}`, { skip: fragment }, () => {});
  }
});
