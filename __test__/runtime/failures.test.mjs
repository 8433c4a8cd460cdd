// What `npm test` and .ci/run print at their ends of parts that failed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { root } from '../../scripts/addon.mjs';
import { excerptOf } from '../../scripts/failures.mjs';

const numbered = (count, word) => Array.from({ length: count }, (_, at) => `${word} ${at}`);

test('of a run of Node.js: the tests that failed, and why', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-failures-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const passing = numbered(100, 'passes').map((name) => `test('${name}', () => {});`);
  const failing = "test('is one', () => assert.equal(2, 1));";
  const imports = "import assert from 'node:assert/strict';\nimport test from 'node:test';";
  const file = path.join(folder, 'some.test.mjs');
  writeFileSync(file, [imports, failing, ...passing].join('\n'));
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const { stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', file], {
    encoding: 'utf8',
    env: { ...env, FORCE_COLOR: '1' },
  });
  const excerpt = excerptOf(stdout);
  assert.match(excerpt, /^✖ failing tests:\n.*✖ is one \(.*2 !== 1/s);
  assert.doesNotMatch(excerpt, /passes/);
});

test('of a run of cargo: the failures of each binary, without frames', () => {
  const binary = (name) => `
running 2 tests
.
${name} --- FAILED

failures:

---- ${name} stdout ----

thread '${name}' (7) panicked at crates/core/tests/some.rs:10:5:
assertion \`left == right\` failed
  left: 1
 right: 2
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/library/std/src/panicking.rs:698:5
note: Some details are omitted, run with \`RUST_BACKTRACE=full\` for a verbose backtrace.


failures:
    ${name}

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
`;
  const passing = '\nrunning 1 test\n.\ntest result: ok. 1 passed; 0 failed; 0 ignored; finished in 0.00s\n';
  const targets = 'error: 2 targets failed:\n    `-p sluice-core --lib`\n    `-p sluice-core --test some`\n';
  const excerpt = excerptOf(`${binary('first')}${passing}${binary('second')}${targets}`);
  for (const name of ['first', 'second']) {
    assert.match(
      excerpt,
      new RegExp(`---- ${name} stdout ----.+some.rs:10:5:.+ right: 2\n.+ {4}${name}\n`, 's'),
    );
  }
  assert.doesNotMatch(excerpt, /running|test result: ok|backtrace|rustc|RUST_BACKTRACE/);
  assert.ok(excerpt.endsWith(targets.trimEnd()), excerpt);
});

test('of other output: the last lines, after those that say that something failed', () => {
  const lines = [...numbered(50, 'first'), '✗ an example  3.1 s', ...numbered(50, 'last')];
  const excerpt = excerptOf(`${lines.join('\n')}\n`).split('\n');
  assert.deepEqual(excerpt, ['✗ an example  3.1 s', ...numbered(50, 'last').slice(10)]);
});

test('an excerpt that is long keeps its beginning, its end and the names between', () => {
  const tests = numbered(200, '✖ test').flatMap((name) => [name, '  AssertionError', `  ${'x'.repeat(999)}`]);
  const excerpt = excerptOf(['✔ passes', '✖ failing tests:', ...tests].join('\n')).split('\n');
  for (const name of numbered(200, '✖ test')) assert.ok(excerpt.includes(name), name);
  assert.equal(excerpt[0], '✖ failing tests:');
  assert.equal(excerpt.length, 30 + 1 + 180 + 30);
  assert.ok(excerpt.every((line) => line.length <= 301));
});

test('the script prints the excerpt of a log', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-failures-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const log = path.join(folder, 'step.log');
  writeFileSync(log, 'passes\nfailures:\n    a_test\ntest result: FAILED. 0 passed; 1 failed\n');
  const script = path.join(root, 'scripts', 'failures.mjs');
  const { stdout } = spawnSync(process.execPath, [script, log], { encoding: 'utf8' });
  assert.equal(stdout, 'failures:\n    a_test\ntest result: FAILED. 0 passed; 1 failed\n');
});
