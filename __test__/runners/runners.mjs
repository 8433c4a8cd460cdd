// sluice/testing under jest and vitest: each runs its own tests here, with its own fake timers.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const require = createRequire(import.meta.url);

/** Runs a program of an installed package in a folder. Returns its output. */
function run(name, file, args, within) {
  const program = path.join(path.dirname(require.resolve(`${name}/package.json`)), file);
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    cwd: path.join(folder, within),
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'test', NO_COLOR: '1', FORCE_COLOR: undefined },
  });
  const output = stdout + stderr;
  assert.equal(status, 0, output);
  return output;
}

test('jest: the clock follows its fake timers, also in the files after one that does not restore it', () => {
  // In one process, one file after the other.
  const output = run('jest', 'bin/jest.js', ['--runInBand', '--config', 'jest.config.json'], 'jest');
  assert.match(output, /Tests: +9 passed, 9 total/);
});

test('vitest: the clock follows its fake timers', () => {
  const output = run('vitest', 'vitest.mjs', ['run', '--config', 'vitest.config.mjs'], 'vitest');
  assert.match(output, /Tests +4 passed \(4\)/);
});
