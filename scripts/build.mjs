/*
 * Builds the addon and puts its binary beside index.js.
 *
 *   node scripts/build.mjs            also writes what is generated: binding.cjs, binding.d.cts, lib/runtime/layouts.js
 *     --debug                         without optimisation, in seconds
 *     --binary-only                   leaves what is generated as it is
 *     --check                         fails when that is not what a build would write
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { binaryPath, root, whyStale } from './addon.mjs';
import { fail, requireRust } from './requirements.mjs';
import { writeSeam } from './seam.mjs';

/** What a build writes beside the binary, and where it belongs. */
const GENERATED = { 'binding.cjs': '', 'binding.d.cts': '', 'layouts.js': 'lib/runtime' };

const flag = { type: 'boolean', default: false };
const { values: options } = parseArgs({ options: { debug: flag, 'binary-only': flag, check: flag } });
const profile = options.debug ? [] : ['--release'];
const output = path.join(root, 'target', 'addon');

requireRust();
const cli = napiCli();
if (options.check) await check();
else install(await build());

function napiCli() {
  const manifest = path.join(root, 'node_modules', '@napi-rs', 'cli', 'package.json');
  if (!existsSync(manifest)) fail('the npm packages of development are missing: run "npm ci" first.');
  return path.join(path.dirname(manifest), createRequire(manifest)(manifest).bin.napi);
}

async function build() {
  mkdirSync(output, { recursive: true });
  const files = ['--output-dir', output, '--no-js', '--dts', 'binding.d.cts'];
  run(process.execPath, [cli, 'build', '--platform', ...profile, ...files]);
  const built = path.join(output, path.basename(binaryPath));
  const [layouts, types] = ['layouts.js', 'binding.d.cts'].map((name) => path.join(output, name));
  writeSeam(built, { layouts, types });
  await writeBinding();
  return built;
}

/** Imports late, as it needs a package of development. */
async function writeBinding() {
  const { bindingOf } = await import('./platforms.mjs');
  writeFileSync(path.join(output, 'binding.cjs'), bindingOf());
}

function install(built) {
  // Renamed into place: a process that has the old binary loaded keeps it whole.
  copyFileSync(built, `${binaryPath}.new`);
  renameSync(`${binaryPath}.new`, binaryPath);
  if (!options['binary-only']) {
    for (const [name, folder] of Object.entries(GENERATED)) {
      copyFileSync(path.join(output, name), path.join(root, folder, name));
    }
  }
  console.log(`sluice: built ${path.basename(binaryPath)}`);
}

async function check() {
  const names = Object.keys(GENERATED);
  if (names.some((name) => whyStale(path.join(output, name)))) await build();
  else await writeBinding();
  const read = (...parts) => readFileSync(path.join(...parts), 'utf8').replaceAll('\r\n', '\n');
  const stale = names.filter((name) => read(output, name) !== read(root, GENERATED[name], name));
  if (stale.length > 0)
    fail(`${stale.join(' and ')} must be generated anew: run "npm run build" and commit the result.`);
  console.log(`sluice: ${names.join(', ')} are current`);
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0)
    fail(`the build failed${error ? ` (${error.message})` : ''}; see the compiler's output above.`);
}
