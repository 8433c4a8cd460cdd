// Tools that building and testing need. Each check exits with one sentence that says what is missing.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './addon.mjs';

/** Minimum for building and testing, above the `engines` of package.json, which is for users. */
const MIN_NODE = '20.17';

export function requireNode() {
  if (isAtLeast(process.versions.node, MIN_NODE)) return;
  fail(`Node.js ${process.versions.node} is too old: install ${MIN_NODE} or newer from https://nodejs.org.`);
}

/** Requires the Rust version of Cargo.toml, and a linker. */
export function requireRust() {
  const minimum = /^rust-version = "([\d.]+)"/m.exec(readFileSync(path.join(root, 'Cargo.toml'), 'utf8'))[1];
  findRust();
  const version = versionOf('cargo') && /\d+\.\d+\.\d+/.exec(versionOf('rustc') ?? '')?.[0];
  if (!version) {
    fail(
      `Rust is missing: sluice is built from source here; install Rust ${minimum} or newer from https://rustup.rs.`,
    );
  }
  if (!isAtLeast(version, minimum)) {
    fail(
      `Rust ${version} is too old: sluice needs ${minimum} or newer; run "rustup update stable" (https://rustup.rs).`,
    );
  }
  if (process.platform !== 'win32' && !['cc', 'gcc', 'clang'].some(versionOf)) {
    fail(
      'A C linker is missing: Rust links with "cc"; install gcc or clang (on Debian and Ubuntu: apt-get install gcc libc6-dev).',
    );
  }
}

/** Adds the folder of a freshly installed Rust to the PATH of this process and its children. */
export function findRust() {
  if (versionOf('cargo')) return;
  const bin = path.join(process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo'), 'bin');
  if (existsSync(bin)) process.env.PATH = `${bin}${path.delimiter}${process.env.PATH}`;
}

export function fail(sentence) {
  console.error(`sluice: ${sentence}`);
  process.exit(1);
}

function versionOf(program) {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8', cwd: root });
  return status === 0 ? stdout : undefined;
}

function isAtLeast(version, minimum) {
  const [major, minor] = version.split('.').map(Number);
  const [minMajor, minMinor] = minimum.split('.').map(Number);
  return major > minMajor || (major === minMajor && minor >= minMinor);
}
