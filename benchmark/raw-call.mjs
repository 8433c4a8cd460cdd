// The library in raw-call/: the least that a Node-API call costs.
import { spawnSync } from 'node:child_process';
import { copyFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMusl } from '../scripts/addon.mjs';

const folder = fileURLToPath(new URL('raw-call', import.meta.url));
const binary = path.join(folder, 'target', 'raw-call.node');
const library = process.platform === 'darwin' ? 'libraw_call.dylib' : 'libraw_call.so';

/** Where cargo cannot build it (Windows gives no libraries symbols of the program), its rows are left out. */
export function buildRawCall() {
  const source = path.join(folder, 'src', 'lib.rs');
  if (modifiedAt(binary) > modifiedAt(source)) return;
  console.log('sluice: building benchmark/raw-call, the floor of all native calls');
  // Rust links musl statically unless told otherwise, and then there is no library to load.
  const env = isMusl() ? { RUSTFLAGS: '-C target-feature=-crt-static', ...process.env } : process.env;
  const args = ['build', '--release', '--locked', '--quiet', '--target-dir', 'target'];
  const { status } = spawnSync('cargo', args, { cwd: folder, env, stdio: 'inherit' });
  if (status === 0) copyFileSync(path.join(folder, 'target', 'release', library), binary);
}

export function loadRawCall() {
  return createRequire(import.meta.url)(binary);
}

/** 0 where there is none. */
function modifiedAt(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
