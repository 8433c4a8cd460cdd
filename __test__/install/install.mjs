/*
 * What users do: install the published packages from a registry, without Rust, and answer 429. The registry runs on
 * loopback and holds the packages as a release publishes them; `npm run test:install` starts this.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { binaryPath, platformSuffix, root } from '../../scripts/addon.mjs';
import { manifest, platforms } from '../../scripts/platforms.mjs';
import { findRust } from '../../scripts/requirements.mjs';
import { testBundlers } from './bundlers.mjs';
import { Project } from './project.mjs';
import { startRegistry } from './registry.mjs';

const scratch = mkdtempSync(path.join(os.tmpdir(), 'sluice-install-'));
const packageHere = `sluice-${platformSuffix()}`;
const { version } = manifest;
/** The platform here, and the one that differs only in the C library. */
const withOtherLibc = platforms.filter(({ os: of, cpu }) => of === process.platform && cpu === process.arch);
/** A platform other than this one. */
const foreign = platforms.find(({ os: of }) => of !== process.platform);

let registry;
before(async () => {
  registry = await startRegistry(scratch);
});
after(() => {
  registry?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

/** A project with programs/`name` in it. */
function projectWith(title, ...programs) {
  const project = new Project(scratch, title, registry.url);
  for (const name of programs) {
    copyFileSync(
      fileURLToPath(new URL(`programs/${name}`, import.meta.url)),
      path.join(project.folder, name),
    );
  }
  return project;
}

function succeeds({ status, stdout, stderr, output = `${stdout}${stderr}` }) {
  assert.equal(status, 0, output);
  return output;
}

/** What a program printed. */
function printed(result) {
  succeeds(result);
  return JSON.parse(result.stdout);
}

const EXPRESS = { statuses: [200, 200, 429], admitted: 100 };
const FASTIFY = { statuses: [200, 200, 429] };
const NEST = FASTIFY;
const WS = { statuses: [101, 101, 429] };

const NEST_PACKAGES = [
  '@nestjs/common@11',
  '@nestjs/core@11',
  '@nestjs/platform-express@11',
  'reflect-metadata@0.2',
  'rxjs@7',
];

test('npm, without install scripts: CommonJS and Express, ES modules and Fastify, TypeScript, worker threads', () => {
  const project = projectWith('npm', 'express.cjs', 'fastify.mjs', 'typed.mts');
  assert.match(project.run('-e', 'require("child_process").execFileSync("cargo")').output, /ENOENT/);
  succeeds(
    project.manage(
      'npm',
      'install',
      '--ignore-scripts',
      'sluice',
      'express@5',
      'fastify@5',
      '@types/node@20',
    ),
  );
  assert.deepEqual(project.installed(), ['sluice', packageHere]);
  assert.deepEqual(printed(project.run('express.cjs')), EXPRESS);
  assert.deepEqual(printed(project.run('fastify.mjs')), FASTIFY);
  const { status, stdout } = project.manage('npm', 'exec', '--', 'sluice', '--version');
  assert.deepEqual([status, stdout.trim()], [0, version]);
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  const options = ['--module', 'nodenext', '--target', 'es2022', '--strict', '--types', 'node'];
  succeeds(project.run(tsc, ...options, 'typed.mts'));
  assert.deepEqual(printed(project.run('typed.mjs')), { allowed: [true, true, false], refuses: 'function' });
});

// The profile leaves out how TypeScript resolved before packages had exports.
for (const [what, cli, ...args] of [
  ['publint', 'publint/src/cli.js', 'run', '--strict'],
  ['arethetypeswrong', '@arethetypeswrong/cli/dist/index.js', '--profile', 'node16', '--pack'],
]) {
  test(`${what} finds nothing to object to in the package`, () => {
    const file = fileURLToPath(new URL(`tools/node_modules/${cli}`, import.meta.url));
    const folder = path.join(scratch, 'packages', 'sluice');
    succeeds(spawnSync(process.execPath, [file, ...args, folder], { encoding: 'utf8', timeout: 120_000 }));
  });
}

test('npm: ws and Nest', () => {
  const project = projectWith('npm-sockets', 'sockets.cjs', 'nestjs.cjs');
  succeeds(project.manage('npm', 'install', '--ignore-scripts', 'sluice', 'ws@8', ...NEST_PACKAGES));
  assert.deepEqual(printed(project.run('sockets.cjs')), WS);
  assert.deepEqual(printed(project.run('nestjs.cjs')), NEST);
});

test('pnpm: ES modules and Fastify', () => {
  const project = projectWith('pnpm', 'fastify.mjs');
  succeeds(project.manage('pnpm', 'add', 'sluice', 'fastify@5'));
  assert.deepEqual(printed(project.run('fastify.mjs')), FASTIFY);
});

test('Yarn 1: CommonJS and Express, worker threads', () => {
  const project = projectWith('yarn', 'express.cjs');
  succeeds(project.manage('yarn', 'add', '--non-interactive', 'sluice', 'express@5'));
  // Yarn 1 does not know `libc`, and installs the packages of both.
  assert.deepEqual(project.installed(), ['sluice', ...withOtherLibc.map((one) => one.package)]);
  assert.deepEqual(printed(project.run('express.cjs')), EXPRESS);
});

test("Yarn 4 with Plug'n'Play: CommonJS and Express, worker threads, Nest", () => {
  const project = projectWith('berry', 'express.cjs', 'nestjs.cjs');
  project.write('yarn.lock', '');
  succeeds(project.manage('berry', 'add', 'sluice', 'express@5', ...NEST_PACKAGES));
  assert.ok(!readdirSync(project.folder).includes('node_modules'));
  const unplugged = readdirSync(path.join(project.folder, '.yarn/unplugged'));
  assert.deepEqual(
    unplugged.map((name) => name.replace(/-npm-.*/, '')),
    [packageHere],
  );
  assert.deepEqual(printed(project.manage('berry', 'node', 'express.cjs')), EXPRESS);
  assert.deepEqual(printed(project.manage('berry', 'node', 'nestjs.cjs')), NEST);
});

test('without optional packages the error names the package, and a build from source replaces it', () => {
  const project = projectWith('omitted');
  succeeds(project.manage('npm', 'install', '--omit=optional', 'sluice'));
  assert.deepEqual(project.installed(), ['sluice']);
  const { status, output } = project.run('-e', 'require("sluice")');
  assert.equal(status, 1);
  const start = `sluice has no binary for ${platformSuffix()} here: the package ${packageHere}@${version} is not installed.`;
  assert.ok(output.includes(start), output);
  assert.match(output, /code: 'ERR_SLUICE_NO_BINARY'/);
  const [, command] = /run: npx (sluice-build@\S+)$/m.exec(output);

  const withoutRust = project.manage('npm', 'exec', '--yes', command);
  assert.notEqual(withoutRust.status, 0);
  assert.match(withoutRust.output, /^sluice: Rust is missing: .*https:\/\/rustup\.rs\.$/m);

  const calls = installFakeRust(project);
  const built = succeeds(project.manage('npm', 'exec', '--yes', command));
  const binary = path.join(project.folder, 'node_modules/sluice', path.basename(binaryPath));
  assert.ok(built.includes(`sluice: built ${binary}`), built);
  const [{ args, cwd }] = calls();
  assert.deepEqual(args.slice(0, -1), [
    'build',
    '--release',
    '--locked',
    '--package',
    'sluice',
    '--target-dir',
  ]);
  assert.equal(JSON.parse(readFileSync(path.join(cwd, 'package.json'), 'utf8')).name, 'sluice-build');
  // The sources that were published are complete.
  findRust();
  const { status: metadata, stderr } = spawnSync(
    'cargo',
    ['metadata', '--no-deps', '--offline', '--format-version=1', '--quiet'],
    { cwd, encoding: 'utf8' },
  );
  assert.equal(metadata, 0, stderr);
  // Nothing but the binary is left.
  assert.deepEqual(
    readdirSync(project.home).filter((name) => name.startsWith('sluice-build-')),
    [],
  );
  assert.ok(!readdirSync(cwd).includes('target'));
  succeeds(project.run('-e', 'require("sluice")'));
});

/** Programs that answer as Rust does, and "build" the binary that was built here. Returns what cargo was asked to do. */
function installFakeRust(project) {
  const log = path.join(project.home, 'cargo.log');
  const library = { darwin: 'libsluice.dylib' }[process.platform] ?? 'libsluice.so';
  const cargo = `#!${process.execPath}
    const { appendFileSync, copyFileSync, mkdirSync } = require('node:fs');
    const args = process.argv.slice(2);
    if (args[0] === '--version') return console.log('cargo 9.0.0');
    appendFileSync(${JSON.stringify(log)}, JSON.stringify({ args, cwd: process.cwd() }) + '\\n');
    mkdirSync(args.at(-1) + '/release', { recursive: true });
    copyFileSync(${JSON.stringify(binaryPath)}, args.at(-1) + '/release/${library}');`;
  const version = (name) => `#!/bin/sh\necho ${name} 9.0.0\n`;
  for (const [name, text] of Object.entries({ cargo, rustc: version('rustc'), cc: version('cc') })) {
    writeFileSync(path.join(project.bin, name), text);
    chmodSync(path.join(project.bin, name), 0o755);
  }
  return () => readFileSync(log, 'utf8').trim().split('\n').map(JSON.parse);
}

test('a lock file of npm that was made for another platform installs here', () => {
  const project = projectWith('foreign-lock');
  const platform = [`--os=${foreign.os}`, `--cpu=${foreign.cpu}`];
  succeeds(project.manage('npm', 'install', ...platform, 'sluice'));
  assert.deepEqual(project.installed(), ['sluice', foreign.package]);
  const { output } = project.run('-e', 'require("sluice")');
  const start = `sluice has no binary for ${platformSuffix()} here, only for ${foreign.name}: the package ${packageHere}`;
  assert.ok(output.includes(start), output);
  assert.match(output, /Usual causes:\n {2}- node_modules was copied from another machine/);
  succeeds(project.manage('npm', 'ci'));
  assert.deepEqual(project.installed(), ['sluice', packageHere]);
  succeeds(project.run('-e', 'require("sluice")'));
});

test('a lock file of npm that lacks the package of this platform is reported, by npm or by sluice', () => {
  const project = projectWith('poor-lock');
  succeeds(project.manage('npm', 'install', 'sluice'));
  const file = path.join(project.folder, 'package-lock.json');
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  delete lock.packages[`node_modules/${packageHere}`];
  writeFileSync(file, JSON.stringify(lock));
  rmSync(path.join(project.folder, 'node_modules'), { recursive: true });
  const installed = project.manage('npm', 'ci');
  const { output } = installed.status === 0 ? project.run('-e', 'require("sluice")') : installed;
  assert.ok(output.includes(`${packageHere}@${version}`), output);
});

testBundlers(projectWith, packageHere);
