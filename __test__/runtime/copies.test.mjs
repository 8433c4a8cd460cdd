// Two copies of the addon in one process share no state, so the second emits a warning.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** Copies the files that the addon needs to load, without sources and dependencies. */
async function copyAddon(t) {
  const copy = await mkdtemp(path.join(os.tmpdir(), 'sluice-copy-'));
  t.after(() => rm(copy, { recursive: true }));
  const binaries = (await readdir(root)).filter((name) => name.endsWith('.node'));
  for (const name of ['lib', 'index.js', 'binding.cjs', 'package.json', ...binaries]) {
    await cp(path.join(root, name), path.join(copy, name), { recursive: true });
  }
  return copy;
}

/** The warnings of a process that loads each of `folders` in a new worker, in turn, and none in its main thread. */
async function warningsOfLoading(...folders) {
  const script = `
    const { once } = require('node:events');
    const { Worker } = require('node:worker_threads');
    (async () => {
      for (const folder of ${JSON.stringify(folders)}) {
        await once(new Worker('require(' + JSON.stringify(folder) + ')', { eval: true }), 'exit');
      }
    })();`;
  const { stderr } = await run(process.execPath, ['-e', script], { timeout: 300_000 });
  return stderr.match(/\[SLUICE_SEVERAL_COPIES\] .*/g) ?? [];
}

test('a second copy warns once and names both files', {
  skip: process.platform !== 'linux' && 'loaded libraries can be listed on Linux only',
}, async (t) => {
  const copy = await copyAddon(t);
  const warnings = await warningsOfLoading(root, copy, copy, root);
  assert.equal(warnings.length, 1, 'loading either copy again does not warn');
  for (const folder of [root, copy])
    assert.ok(warnings[0].includes(path.join(folder, 'sluice.')), warnings[0]);
});

test('one copy in many threads does not warn', async () => {
  assert.deepEqual(await warningsOfLoading(root, root, root), []);
});
