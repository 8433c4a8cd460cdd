/*
 * Builds the binaries of platforms as they are published, in artifacts/.
 *
 *   npm run release:binary                            for the platform of this machine
 *   npm run release:binary -- linux-arm64-musl …      for those named; Linux from any machine, others from their own
 *
 * Linux needs cargo-zigbuild and zig (`pip install cargo-zigbuild ziglang`) and the Rust target (`rustup target add`).
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { platformSuffix, root } from '../addon.mjs';
import { platforms } from '../platforms.mjs';
import { fail, requireRust } from '../requirements.mjs';
import { artifacts, GLIBC } from './paths.mjs';

/** What cargo calls the library, by operating system. */
const LIBRARY = { linux: 'libsluice.so', darwin: 'libsluice.dylib', win32: 'sluice.dll' };

const wanted = process.argv.slice(2);
if (wanted.length === 0) wanted.push(platformSuffix());
requireRust();
for (const name of wanted) {
  const platform = platforms.find((known) => known.name === name);
  if (platform === undefined)
    fail(`${name} is no platform; accepted: ${platforms.map((one) => one.name).join(', ')}.`);
  build(platform);
}

function build({ target, os, libc, binary }) {
  const isLinux = os === 'linux';
  // Rust links musl statically by default, and then there is no library to load.
  const env = { ...process.env, ...(libc === 'musl' && { RUSTFLAGS: '-C target-feature=-crt-static' }) };
  const folder = path.join(root, 'target', 'release-binaries');
  const cargo = isLinux ? 'zigbuild' : 'build';
  const triple = libc === 'glibc' ? `${target}.${GLIBC}` : target;
  const args = [cargo, '--release', '--locked', '--package', 'sluice', '--target', triple];
  const { status, error } = spawnSync('cargo', [...args, '--target-dir', folder], {
    cwd: root,
    env,
    stdio: 'inherit',
  });
  if (status !== 0) fail(`the build for ${target} failed${error ? ` (${error.message})` : ''}.`);
  mkdirSync(artifacts, { recursive: true });
  copyFileSync(path.join(folder, target, 'release', LIBRARY[os]), path.join(artifacts, binary));
  console.log(`sluice: built artifacts/${binary}`);
}
