// The bundlers that docs/runtimes.md names: with the package external, bundled by mistake, and without the binary.
import assert from 'node:assert/strict';
import { copyFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('programs/program.cjs', import.meta.url));
const BUNDLE = fileURLToPath(new URL('tools/bundle.mjs', import.meta.url));

/** Declares a test of each bundler. `newProject` makes a project, `packageHere` is the package with the binary. */
export function testBundlers(newProject, packageHere) {
  for (const bundler of ['esbuild', 'webpack', 'rolldown']) {
    test(`${bundler}: external works, bundled fails and says why`, () => {
      const project = newProject(bundler);
      copyFileSync(PROGRAM, path.join(project.folder, 'program.cjs'));
      const installed = project.manage('npm', 'install', '--ignore-scripts', 'sluice');
      assert.equal(installed.status, 0, installed.output);
      runsExternal(project, bundler);
      failsWithBinary(project, bundler);
      rmSync(path.join(project.folder, 'node_modules', packageHere), { recursive: true });
      failsWithoutBinary(project, bundler);
    });
  }
}

function runsExternal(project, bundler) {
  const bundled = project.run(BUNDLE, bundler, 'external');
  assert.equal(bundled.status, 0, bundled.output);
  const { stdout, output } = project.run('bundle.cjs');
  assert.equal(stdout, '{"admitted":[true,false,true]}\n', output);
}

/** At build time, as no bundler has a loader for its file. */
function failsWithBinary(project, bundler) {
  const { status, output } = project.run(BUNDLE, bundler);
  assert.notEqual(status, 0, output);
  assert.match(output, /\.node\b/);
}

/** At the start, where the binary was not there to be bundled. The first cause that the error names is the bundler. */
function failsWithoutBinary(project, bundler) {
  const bundled = project.run(BUNDLE, bundler);
  assert.equal(bundled.status, 0, bundled.output);
  const { status, output } = project.run('bundle.cjs');
  assert.equal(status, 1, output);
  assert.match(output, /Usual causes:\n {2}- a bundler moved the code of sluice/);
  assert.match(output, /ERR_SLUICE_NO_BINARY/);
}
