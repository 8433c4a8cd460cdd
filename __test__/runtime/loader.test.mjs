// Errors of an addon that does not load: the first sentence says what is wrong and what is accepted.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { binaryPath, root } from '../../scripts/addon.mjs';

const isRoot = process.getuid?.() === 0;
/** A user id without rights, for a test that runs as root. */
const UNPRIVILEGED = 65_534;

/** A copy of the package without its binary; `binary` is the path where the loader expects it. */
function copyOfPackage(t) {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-loader-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  for (const name of ['lib', 'index.js', 'binding.cjs', 'package.json']) {
    cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
  }
  return { folder, binary: path.join(folder, path.basename(binaryPath)) };
}

/** Loads the package in a new process: message and code of the error, or `{}`. */
function load(folder, { flags = [], ...options } = {}) {
  const code = `try { require('${folder}'); console.log('{}'); }
    catch ({ message, code }) { console.log(JSON.stringify({ message, code })); }`;
  const { stdout, stderr, error } = spawnSync(process.execPath, [...flags, '-e', code], {
    encoding: 'utf8',
    ...options,
  });
  assert.ifError(error);
  assert.ok(stdout !== '', stderr);
  return JSON.parse(stdout);
}

test('a missing binary is reported with the platform', (t) => {
  const { folder } = copyOfPackage(t);
  const { message } = load(folder);
  const platform = `${process.platform}-${process.arch}`;
  assert.ok(message.startsWith(`sluice has no binary for ${platform} here; with Rust installed`), message);
});

test('a binary for another platform is reported with that platform', (t) => {
  const { folder } = copyOfPackage(t);
  writeFileSync(path.join(folder, 'sluice.plan9-mips.node'), '');
  assert.match(load(folder).message, /^sluice has no binary for \S+ here, only for plan9-mips; with Rust/);
});

for (const [what, content] of Object.entries({ empty: '', text: 'no library'.repeat(100) })) {
  test(`a damaged binary is reported: ${what}`, (t) => {
    const { folder, binary } = copyOfPackage(t);
    writeFileSync(binary, content);
    const { message, code } = load(folder);
    assert.ok(
      message.startsWith(`sluice cannot load ${JSON.stringify(binary)}: it is damaged, or no library`),
      message,
    );
    assert.equal(code, 'ERR_DLOPEN_FAILED');
  });
}

test('a binary for another architecture is reported with both architectures', {
  skip: process.platform !== 'linux',
}, (t) => {
  const { folder, binary } = copyOfPackage(t);
  const content = readFileSync(binaryPath);
  const [other, number] = process.arch === 'arm64' ? ['x64', 62] : ['arm64', 183];
  content.writeUInt16LE(number, 18);
  writeFileSync(binary, content);
  const { message } = load(folder);
  assert.ok(
    message.includes(`: it is built for ${other}, and this process is ${process.arch}; with Rust`),
    message,
  );
});

test('a binary that the user cannot read is reported', { skip: process.platform !== 'linux' }, (t) => {
  const { folder, binary } = copyOfPackage(t);
  copyFileSync(binaryPath, binary);
  chmodSync(binary, 0);
  const { message } = load(folder, isRoot ? { uid: UNPRIVILEGED, gid: UNPRIVILEGED, cwd: folder } : {});
  assert.match(
    message,
    /^sluice cannot load "[^"]+": it was denied by the system; accepted: a file that this user may read/,
  );
});

test('--no-addons is reported', (t) => {
  const { folder, binary } = copyOfPackage(t);
  copyFileSync(binaryPath, binary);
  const { message, code } = load(folder, { flags: ['--no-addons'] });
  assert.match(
    message,
    /^sluice was denied to load its native addon: Node runs with --no-addons; accepted: without it/,
  );
  assert.equal(code, 'ERR_DLOPEN_DISABLED');
});

const isStable = process.allowedNodeEnvironmentFlags.has('--permission');
const hasAllowAddons = process.allowedNodeEnvironmentFlags.has('--allow-addons');
const PERMISSION = isStable ? '--permission' : '--experimental-permission';

test('a permission model without --allow-addons is reported', (t) => {
  const { folder, binary } = copyOfPackage(t);
  copyFileSync(binaryPath, binary);
  const { message, code } = load(folder, { flags: [PERMISSION, '--allow-fs-read=*'] });
  assert.match(message, /^sluice was denied to load its native addon: Node /);
  assert.match(
    message,
    hasAllowAddons ? /accepted: --allow-addons/ : /accepted: Node 22 or newer with --allow-addons/,
  );
  assert.equal(code, 'ERR_DLOPEN_DISABLED');
});

test('a permission model that does not allow reading the binary is reported', { skip: !isStable }, (t) => {
  const { folder, binary } = copyOfPackage(t);
  copyFileSync(binaryPath, binary);
  const readable = ['lib', 'index.js', 'binding.cjs', 'package.json'].map((name) => path.join(folder, name));
  const flags = [PERMISSION, '--allow-addons', ...readable.map((name) => `--allow-fs-read=${name}`)];
  const { message } = load(folder, { flags });
  assert.match(
    message,
    /^sluice was denied to read "[^"]+": Node runs with --permission; accepted: --allow-fs-read=/,
  );
});

test('the addon loads under a permission model that allows addons and reads', {
  skip: !hasAllowAddons,
}, (t) => {
  const { folder, binary } = copyOfPackage(t);
  copyFileSync(binaryPath, binary);
  assert.deepEqual(load(folder, { flags: [PERMISSION, '--allow-addons', '--allow-fs-read=*'] }), {});
});
