/*
 * Builds the addon and puts its binary beside index.js.
 *
 *   node scripts/build.mjs            also writes what is generated: binding.cjs, binding.d.cts, lib/runtime/layouts.js
 *     --debug                         without optimisation, in seconds
 *     --binary-only                   leaves what is generated as it is
 *     --check                         fails when that is not what a build would write
 *
 * Without the npm packages of development, as in an installed copy, cargo alone makes the binary.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { binaryPath, isMusl, root, whyStale } from './addon.mjs';
import { fail, requireRust } from './requirements.mjs';
import { writeSeam } from './seam.mjs';

/** What a build writes beside the binary, and where it belongs. */
const GENERATED = { 'binding.cjs': '', 'binding.d.cts': '', 'layouts.js': 'lib/runtime' };
const LIBRARY = { win32: 'sluice.dll', darwin: 'libsluice.dylib' }[process.platform] ?? 'libsluice.so';

const flag = { type: 'boolean', default: false };
const { values: options } = parseArgs({ options: { debug: flag, 'binary-only': flag, check: flag } });
const profile = options.debug ? [] : ['--release'];
const output = path.join(root, 'target', 'addon');

requireRust();
const cli = napiCli();
if (options.check) check();
else install(cli === undefined ? buildWithCargo() : buildWithCli());

function napiCli() {
  const manifest = path.join(root, 'node_modules', '@napi-rs', 'cli', 'package.json');
  if (!existsSync(manifest)) return undefined;
  return path.join(path.dirname(manifest), createRequire(manifest)(manifest).bin.napi);
}

function buildWithCli() {
  mkdirSync(output, { recursive: true });
  const files = ['--output-dir', output, '--js', 'binding.cjs', '--dts', 'binding.d.cts'];
  run(process.execPath, [cli, 'build', '--platform', ...profile, ...files]);
  const built = path.join(output, path.basename(binaryPath));
  const [layouts, types] = ['layouts.js', 'binding.d.cts'].map((name) => path.join(output, name));
  writeSeam(built, { layouts, types });
  return built;
}

function buildWithCargo() {
  const target = path.join(root, 'target');
  // By default Rust links musl statically, and then there is no library to load.
  if (isMusl()) process.env.RUSTFLAGS ??= '-C target-feature=-crt-static';
  run('cargo', ['build', '--locked', '--package', 'sluice', ...profile, '--target-dir', target]);
  return path.join(target, options.debug ? 'debug' : 'release', LIBRARY);
}

function install(built) {
  // Renamed into place: a process that has the old binary loaded keeps it whole.
  copyFileSync(built, `${binaryPath}.new`);
  renameSync(`${binaryPath}.new`, binaryPath);
  if (cli !== undefined && !options['binary-only']) {
    for (const [name, folder] of Object.entries(GENERATED)) {
      copyFileSync(path.join(output, name), path.join(root, folder, name));
    }
  }
  console.log(`sluice: built ${path.basename(binaryPath)}`);
}

function check() {
  if (cli === undefined) fail('--check needs the npm packages of development: run "npm ci" first.');
  const names = Object.keys(GENERATED);
  if (names.some((name) => whyStale(path.join(output, name)))) buildWithCli();
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
