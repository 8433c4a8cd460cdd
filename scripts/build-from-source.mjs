#!/usr/bin/env node
/*
 * Builds the addon where no package has a binary. It is the command of the package sluice-build, which holds the sources.
 *
 *   npx sluice-build                  in a project: puts the binary into its installed sluice
 *     --output FILE                   writes it to FILE instead, for NAPI_RS_NATIVE_LIBRARY_PATH
 *
 * What cargo builds lies in a temporary folder and is removed; only the binary stays.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isMusl, platformSuffix, root } from './addon.mjs';
import { fail, requireNode, requireRust } from './requirements.mjs';

const LIBRARY = { win32: 'sluice.dll', darwin: 'libsluice.dylib' }[process.platform] ?? 'libsluice.so';

const { values: options } = parseArgs({ options: { output: { type: 'string' } } });

requireNode();
const output = options.output === undefined ? placeInProject() : path.resolve(options.output);
requireRust();
// Ctrl-C ends cargo; this process goes on, to clean up.
process.on('SIGINT', () => {});
const target = mkdtempSync(path.join(os.tmpdir(), 'sluice-build-'));
try {
  build();
  install();
} finally {
  rmSync(target, { recursive: true, force: true });
}

/** The path of the binary in the sluice that the project here has installed, which must have the version of the sources. */
function placeInProject() {
  const version = versionIn(path.join(root, 'package.json'));
  const manifest = manifestInProject();
  if (manifest === undefined) {
    fail(
      `no sluice is installed in ${process.cwd()}; accepted: the folder of a project that has it, or --output FILE.`,
    );
  }
  const installed = versionIn(manifest);
  if (installed !== version) {
    fail(`this builds ${version}, and sluice ${installed} is installed here: run sluice-build@${installed}.`);
  }
  return path.join(path.dirname(manifest), `sluice.${platformSuffix()}.node`);
}

function manifestInProject() {
  try {
    return createRequire(path.join(process.cwd(), 'package.json')).resolve('sluice/package.json');
  } catch {
    return undefined;
  }
}

function versionIn(manifest) {
  return JSON.parse(readFileSync(manifest, 'utf8')).version;
}

function build() {
  // By default Rust links musl statically, and then there is no library to load.
  if (isMusl()) process.env.RUSTFLAGS ??= '-C target-feature=-crt-static';
  const args = ['build', '--release', '--locked', '--package', 'sluice', '--target-dir', target];
  const { status, error } = spawnSync('cargo', args, { cwd: root, stdio: 'inherit' });
  if (status === 0) return;
  rmSync(target, { recursive: true, force: true });
  fail(`the build failed${error ? ` (${error.message})` : ''}; see the compiler's output above.`);
}

function install() {
  // Renamed into place: a process that has the old binary loaded keeps it whole.
  copyFileSync(path.join(target, 'release', LIBRARY), `${output}.new`);
  renameSync(`${output}.new`, output);
  console.log(`sluice: built ${output}`);
}
