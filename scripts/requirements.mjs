// What must be on the machine before anything can be built or tested. What is missing is said in one sentence.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './addon.mjs';

/** Our engines field says what users need; the tools that build and test need a little more. */
const LEAST_NODE = '20.17';

export function requireNode() {
  if (isAtLeast(process.versions.node, LEAST_NODE)) return;
  fail(
    `Node.js ${process.versions.node} is too old: install ${LEAST_NODE} or newer from https://nodejs.org.`,
  );
}

/** Rust, of the version that Cargo.toml asks for, and a linker. */
export function requireRust() {
  const least = /^rust-version = "([\d.]+)"/m.exec(readFileSync(path.join(root, 'Cargo.toml'), 'utf8'))[1];
  findRust();
  const version = versionOf('cargo') && /\d+\.\d+\.\d+/.exec(versionOf('rustc') ?? '')?.[0];
  if (!version) {
    fail(
      `Rust is missing: sluice is built from source here; install Rust ${least} or newer from https://rustup.rs.`,
    );
  }
  if (!isAtLeast(version, least)) {
    fail(
      `Rust ${version} is too old: sluice needs ${least} or newer; run "rustup update stable" (https://rustup.rs).`,
    );
  }
  if (process.platform !== 'win32' && !['cc', 'gcc', 'clang'].some(versionOf)) {
    fail(
      'A C linker is missing: Rust links with "cc"; install gcc or clang (on Debian and Ubuntu: apt-get install gcc libc6-dev).',
    );
  }
}

/** A fresh Rust is in its own folder before the shell knows of it: then we look there, and so do our children. */
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

function isAtLeast(version, least) {
  const [major, minor] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = least.split('.').map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}
