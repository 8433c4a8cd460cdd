// The library in raw-call/: the minimum cost of a Node-API call.
import { spawnSync } from 'node:child_process';
import { copyFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMusl } from '../scripts/addon.mjs';

const folder = fileURLToPath(new URL('raw-call', import.meta.url));
const binary = path.join(folder, 'target', 'raw-call.node');
const library = process.platform === 'darwin' ? 'libraw_call.dylib' : 'libraw_call.so';

/** Its rows are skipped where cargo cannot build it, as on Windows, where libraries cannot import from the program. */
export function buildRawCall() {
  const source = path.join(folder, 'src', 'lib.rs');
  if (modifiedAt(binary) > modifiedAt(source)) return;
  console.log('sluice: building benchmark/raw-call, the floor of all native calls');
  // By default Rust links musl statically, which gives no loadable library.
  const env = isMusl() ? { RUSTFLAGS: '-C target-feature=-crt-static', ...process.env } : process.env;
  const args = ['build', '--release', '--locked', '--quiet', '--target-dir', 'target'];
  const { status } = spawnSync('cargo', args, { cwd: folder, env, stdio: 'inherit' });
  if (status === 0) copyFileSync(path.join(folder, 'target', 'release', library), binary);
}

export function loadRawCall() {
  return createRequire(import.meta.url)(binary);
}

/** 0 if the file does not exist. */
function modifiedAt(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
