// An addon whose wakes are slow: built with the feature `slow-waker`, which no released binary has.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { isMusl, root, whyStale } from '../../scripts/addon.mjs';
import { requireRust } from '../../scripts/requirements.mjs';

const FILE = path.join(root, 'target', 'addon', 'slow-waker.node');
const LIBRARY = { win32: 'sluice.dll', darwin: 'libsluice.dylib' }[process.platform] ?? 'libsluice.so';

/** The environment of a process that loads this addon. Builds it once per state of its sources. */
export function slowWakerEnv() {
  if (whyStale(FILE) !== undefined) build();
  return { NAPI_RS_NATIVE_LIBRARY_PATH: FILE };
}

function build() {
  requireRust();
  const target = path.join(root, 'target');
  // Rust links musl statically by default, which makes no library that Node can load.
  const env = isMusl() ? { RUSTFLAGS: '-C target-feature=-crt-static', ...process.env } : process.env;
  // The profile of tests: their build of the engine and of most packages serves here too.
  const args = 'build --quiet --locked --package sluice --features slow-waker --profile test'.split(' ');
  const { status, error } = spawnSync('cargo', [...args, '--target-dir', target], {
    cwd: root,
    env,
    stdio: 'inherit',
  });
  if (status !== 0) throw error ?? new Error(`cargo ended with code ${status}`);
  mkdirSync(path.dirname(FILE), { recursive: true });
  copyFileSync(path.join(target, 'debug', LIBRARY), `${FILE}.new`);
  renameSync(`${FILE}.new`, FILE);
}
