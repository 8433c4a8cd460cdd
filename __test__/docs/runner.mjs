// What the pages are run by finds faults: each of these pages has one.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { root } from '../../scripts/addon.mjs';
import { blocksOf, isModule } from './blocks.mjs';
import { runProgram } from './program.mjs';

const folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-runner-'));
after(() => rmSync(folder, { recursive: true, force: true }));
// The preload loads the package from there.
const project = path.join(folder, 'project');
mkdirSync(path.join(project, 'node_modules'), { recursive: true });
symlinkSync(root, path.join(project, 'node_modules', 'sluice'), 'junction');

const fence = (text, ...directives) =>
  [...directives.map((one) => `<!-- snippet: ${one} -->`), '```js', text, '```', ''].join('\n');
const SERVER = "require('node:http').createServer((req, res) => res.end()).listen(3000);";

async function run(text, ...directives) {
  const [block] = blocksOf(fence(text, ...directives));
  const file = path.join(folder, `${Math.random()}.${isModule(text) ? 'mjs' : 'cjs'}`);
  writeFileSync(file, text);
  return runProgram({ file, cwd: folder, project, block });
}

for (const [fault, text, ...directives] of [
  ['an undeclared name', 'undeclared();'],
  ['`require` with top-level `await`', "const http = require('node:http');\nawait http;"],
  ['an unhandled rejection', "Promise.reject(new Error('unhandled'));"],
  ['a process warning', "process.emitWarning('deprecated');"],
  ['another output', 'console.log(1 + 1); // 3'],
  ['a line that is not printed', 'console.log(1);', 'prints 2'],
  ['another status', SERVER, 'request GET / 200 429'],
  [
    'an error after its answer',
    SERVER.replace('res.end()', '{ res.end(); setImmediate(() => undeclared()); }'),
    'request GET / 200',
  ],
  ['requests without a server', 'console.log(1);', 'request GET / 200'],
]) {
  test(`a program with ${fault} fails`, () => assert.rejects(run(text, ...directives)));
}

test('a program that listens is asked, and ended', async () => {
  assert.deepEqual(await run(`${SERVER}\nconsole.log(1 + 1); // 2`, 'request GET / 200x3'), ['2']);
});

test('a program that keeps running is ended once it has printed', async () => {
  assert.deepEqual(await run("console.log('up'); setInterval(() => {}, 1000);", 'stays'), ['up']);
});

test('a block continues the one above, and one that is named by another is a file', () => {
  const page = [
    fence('const one = 1;'),
    fence('one;', 'continues'),
    fence("// a.js\n'b.js'; './c.js';"),
    fence('// b.js'),
    fence('// c.js', 'stays'),
  ];
  const blocks = blocksOf(page.join('\n'));
  assert.equal(blocks[1].text, 'const one = 1;\n\none;\n');
  assert.deepEqual(
    blocks.map(({ kind, file }) => [kind, file]),
    [
      ['program', undefined],
      ['program', undefined],
      ['program', 'a.js'],
      ['file', 'b.js'],
      ['program', 'c.js'],
    ],
  );
});

for (const [fault, page, message] of [
  ['a directive that is not known', fence('1;', 'skip'), /unknown directive: skip/],
  ['a fragment without a reason', fence('1;', 'fragment'), /unknown directive: fragment/],
  ['a request without a status', fence('1;', 'request GET /'), /no status: GET \//],
  [
    'a directive that belongs to no block',
    '<!-- snippet: stays -->\n\ntext\n',
    /1 directives before no block/,
  ],
  ['an indented block, which would not run', '- one:\n\n  ```js\n  one();\n  ```\n', /begins with spaces/],
  ['a block in another notation', '```javascript\none();\n```\n', /```javascript/],
]) {
  test(`${fault} is an error`, () => assert.throws(() => blocksOf(page), message));
}
