// Errors of an addon that does not load: the first sentence says what is wrong and what is accepted.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { binaryPath, platformSuffix, root } from '../../scripts/addon.mjs';

const isRoot = process.getuid?.() === 0;
/** A user id without rights, for a test that runs as root. */
const UNPRIVILEGED = 65_534;
const platform = platformSuffix();
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

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
  const code = `try { require(${JSON.stringify(folder)}); console.log('{}'); }
    catch ({ message, code }) { console.log(JSON.stringify({ message, code })); }`;
  const { stdout, stderr, error } = spawnSync(process.execPath, [...flags, '-e', code], {
    encoding: 'utf8',
    ...options,
  });
  assert.ifError(error);
  assert.ok(stdout !== '', stderr);
  return JSON.parse(stdout);
}

/** Installs a package of a platform beside the copy, with the binary of this one. */
function installPackage(folder, { of = platform, version: given = version } = {}) {
  const name = `sluice-${of}`;
  const place = path.join(folder, 'node_modules', name);
  mkdirSync(place, { recursive: true });
  const main = `sluice.${of}.node`;
  writeFileSync(path.join(place, 'package.json'), JSON.stringify({ name, version: given, main }));
  copyFileSync(binaryPath, path.join(place, main));
  return path.join(place, main);
}

test('a missing binary is reported with the platform, its package, the usual causes and a command', (t) => {
  const { folder } = copyOfPackage(t);
  const { message, code } = load(folder);
  assert.equal(code, 'ERR_SLUICE_NO_BINARY');
  const [sentence, ...rest] = message.split('\n');
  assert.equal(
    sentence,
    `sluice has no binary for ${platform} here: the package sluice-${platform}@${version} is not installed. Usual causes:`,
  );
  const causes = rest.slice(0, -1);
  for (const cause of [/--omit=optional/, /lock file/, /copied/, /Alpine/, /bundler/]) {
    assert.equal(causes.filter((line) => cause.test(line)).length, 1, `${cause}\n${message}`);
  }
  assert.equal(
    rest.at(-1),
    `To build it from source, with Rust installed (https://rustup.rs), run: npx sluice-build@${version}`,
  );
});

test('binaries for other platforms are reported, with the likely cause first', (t) => {
  const { folder } = copyOfPackage(t);
  writeFileSync(path.join(folder, 'sluice.plan9-mips.node'), '');
  const others = ['darwin-arm64', 'win32-x64-msvc'].filter((of) => of !== platform);
  for (const of of others) installPackage(folder, { of });
  const { message } = load(folder);
  const [sentence, first] = message.split('\n');
  assert.ok(
    sentence.startsWith(
      `sluice has no binary for ${platform} here, only for ${others.join(', ')}, plan9-mips: the package`,
    ),
    message,
  );
  assert.match(first, /^ {2}- node_modules was copied/);
});

test('a platform without a package is reported with those that have one', (t) => {
  const { folder } = copyOfPackage(t);
  const asFreeBsd = path.join(folder, 'freebsd.cjs');
  writeFileSync(asFreeBsd, "Object.defineProperty(process, 'platform', { value: 'freebsd' });");
  const { message, code } = load(folder, { flags: ['--require', asFreeBsd] });
  assert.equal(code, 'ERR_SLUICE_NO_BINARY');
  const start = `sluice has no binary for freebsd-${process.arch} here: there is no package for it; published: darwin-arm64, `;
  assert.ok(message.startsWith(start), message);
  assert.match(message, /\nTo build it from source, .*npx sluice-build@\d/);
});

test('code that a bundler moved is told so first', (t) => {
  const { folder } = copyOfPackage(t);
  const moved = path.join(folder, 'bundle.cjs');
  const inline = (name, from) =>
    `'${from}': (module, exports, require, __dirname) => {${readFileSync(path.join(folder, name), 'utf8')}}`;
  const modules = [
    inline('binding.cjs', './binding'),
    inline('lib/runtime/load-addon.js', './lib/runtime/load-addon'),
    inline('lib/runtime/load-error.js', './load-error'),
    inline('lib/runtime/platform.js', './platform'),
    inline('lib/runtime/errors.js', './errors'),
    `'../../package.json': (module) => { module.exports = { version: '${version}' }; }`,
  ];
  writeFileSync(
    moved,
    `const modules = { ${modules.join(', ')} };
     const own = (name) => {
       if (!(name in modules)) return require(name);
       const module = { exports: {} };
       modules[name](module, module.exports, own, __dirname);
       return module.exports;
     };
     module.exports = own('./binding');`,
  );
  rmSync(path.join(folder, 'lib'), { recursive: true });
  const { message } = load(moved);
  assert.match(message, /Usual causes:\n {2}- a bundler moved the code of sluice: keep sluice external/);
});

test('the package of the platform is loaded, and a build here goes first', (t) => {
  const { folder, binary } = copyOfPackage(t);
  installPackage(folder);
  assert.deepEqual(load(folder), {});
  writeFileSync(binary, '');
  assert.equal(load(folder).code, 'ERR_DLOPEN_FAILED');
});

test('a package of another version is refused', (t) => {
  const { folder } = copyOfPackage(t);
  installPackage(folder, { version: '0.0.1' });
  const { message, code } = load(folder);
  assert.equal(code, 'ERR_SLUICE_NO_BINARY');
  const start = `sluice ${version} found sluice-${platform}@0.0.1; accepted: sluice-${platform}@${version}. Remove`;
  assert.ok(message.startsWith(start), message);
});

test('a package without its binary is reported as missing, a damaged one with its path', (t) => {
  const { folder } = copyOfPackage(t);
  const file = installPackage(folder);
  writeFileSync(file, '');
  const { message, code } = load(folder);
  assert.ok(message.startsWith(`sluice cannot load ${JSON.stringify(file)}: it is damaged, or no`), message);
  assert.equal(code, 'ERR_DLOPEN_FAILED');
  rmSync(file);
  assert.equal(load(folder).code, 'ERR_SLUICE_NO_BINARY');
});

test('NAPI_RS_NATIVE_LIBRARY_PATH names another file, and nothing else is tried', (t) => {
  const { folder } = copyOfPackage(t);
  const file = path.join(folder, 'other.node');
  const env = { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: 'other.node' };
  installPackage(folder);
  const { message, code } = load(folder, { env, cwd: folder });
  assert.equal(
    message,
    `sluice found no file ${JSON.stringify(file)}, which NAPI_RS_NATIVE_LIBRARY_PATH names`,
  );
  assert.equal(code, 'ERR_SLUICE_NO_BINARY');
  copyFileSync(binaryPath, file);
  assert.deepEqual(load(folder, { env, cwd: folder }), {});
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
  const { message, code } = load(folder);
  assert.ok(
    message.includes(`: it is built for ${other}, and this process is ${process.arch}; with Rust`),
    message,
  );
  assert.equal(code, 'ERR_DLOPEN_FAILED');
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
