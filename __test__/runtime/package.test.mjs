// The published package: packed, installed offline into an empty project, and used there by require, import and
// TypeScript.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { binaryPath, platformSuffix, root } from '../../scripts/addon.mjs';

const scratch = mkdtempSync(path.join(os.tmpdir(), 'sluice-package-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const project = path.join(scratch, 'project');
const installed = path.join(project, 'node_modules', 'sluice');
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

/** Runs npm without the `npm_` environment variables that an outer npm sets for this repository. */
function npm(args, cwd) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  const itself = process.env.npm_execpath;
  const [program, first] = itself?.endsWith('.js') ? [process.execPath, [itself]] : ['npm', []];
  const quiet = ['--cache', path.join(scratch, 'cache'), '--ignore-scripts', '--silent'];
  return execFileSync(program, [...first, ...args, ...quiet], {
    cwd,
    env,
    encoding: 'utf8',
    shell: program === 'npm' && process.platform === 'win32',
  });
}

/** Packs a folder and returns the archive and the files in it. */
function pack(folder) {
  const packed = JSON.parse(npm(['pack', folder, '--json', '--pack-destination', scratch], root));
  // An array or an object by name, depending on the version of npm.
  const [{ filename, files }] = Object.values(packed);
  return { archive: path.join(scratch, filename), files: files.map((file) => file.path) };
}

const { archive, files } = pack(root);
// The one dependency is installed from an archive as well, so no registry is needed.
const [dependency, ...others] = Object.keys(manifest.dependencies);
const dependencyArchive = pack(path.join(root, 'node_modules', dependency)).archive;
mkdirSync(project);
writeFileSync(path.join(project, 'package.json'), '{ "private": true }\n');
npm(['install', '--offline', '--no-audit', '--no-fund', archive, dependencyArchive], project);

/** Runs a file of the project that prints JSON. */
function run(name, text) {
  writeFileSync(path.join(project, name), text);
  return JSON.parse(execFileSync(process.execPath, [name], { cwd: project, encoding: 'utf8' }));
}

/** Links a package of this repository into the project, as if it were installed there. */
function link(name) {
  const place = path.join(project, 'node_modules', name);
  mkdirSync(path.dirname(place), { recursive: true });
  symlinkSync(path.join(root, 'node_modules', name), place, 'junction');
}

function filesUnder(folder) {
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)));
}

const inPosix = (name) => name.split(path.sep).join('/');

test('the package has one dependency', () => {
  assert.deepEqual([dependency, others], ['fastify-plugin', []]);
});

test('the archive contains the files of its manifest, and nothing that is not used after the install', () => {
  const named = Object.values(manifest.exports).flatMap((entry) =>
    typeof entry === 'string' ? [entry] : Object.values(entry),
  );
  const present = new Set(files);
  const commands = Object.values(manifest.bin);
  const wanted = ['README.md', 'CHANGELOG.md', 'LICENSE-MIT', 'LICENSE-APACHE', ...commands, ...named];
  for (const name of wanted) assert.ok(present.has(path.posix.normalize(name)), `${name} is missing`);
  for (const name of filesUnder('lib')) assert.ok(present.has(inPosix(name)), `${name} is missing`);
  const unwanted = files.filter((name) =>
    /\.(node|tgz|log|rs|toml|lock|(?<!lib\/dashboard\/page\/icon\.)svg)$|\.test\.|^(target|benchmark|examples|__test__|node_modules|notes|scripts|src|crates)\b/.test(
      name,
    ),
  );
  assert.deepEqual(unwanted, []);
  const here = files.filter((name) => readFileSync(path.join(installed, name), 'utf8').includes(root));
  assert.deepEqual(here, [], 'files that contain the path of this repository');
});

test('nothing runs on install', () => {
  const onInstall = ['preinstall', 'install', 'postinstall', 'prepare'].filter(
    (name) => manifest.scripts[name],
  );
  assert.deepEqual(onInstall, []);
});

test('without a binary the error names its package and the command that builds one', () => {
  const { status, stderr } = spawnSync(process.execPath, ['-e', 'require("sluice")'], {
    cwd: project,
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  const platform = platformSuffix();
  const start = `Error: sluice has no binary for ${platform} here: the package sluice-${platform}@${manifest.version} is`;
  assert.ok(
    stderr.split('\n').some((line) => line.startsWith(start)),
    stderr,
  );
  assert.ok(stderr.includes(`run: npx sluice-build@${manifest.version}\n`), stderr);
});

test('the command is installed, and needs no binary', () => {
  const command = path.join(project, 'node_modules', '.bin', 'sluice');
  const { status, stdout } = spawnSync(command, ['--version'], {
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  assert.deepEqual([status, stdout.trim()], [0, manifest.version]);
});

test('the version is the same for npm and cargo, and in the lock files', () => {
  const { version } = manifest;
  const read = (name) => readFileSync(path.join(root, name), 'utf8');
  assert.ok(read('Cargo.toml').includes(`[workspace.package]\nversion = "${version}"\n`));
  for (const crate of ['sluice', 'sluice-core']) {
    assert.ok(read('Cargo.lock').includes(`name = "${crate}"\nversion = "${version}"\n`), crate);
  }
  const lock = JSON.parse(read('package-lock.json'));
  assert.deepEqual([lock.version, lock.packages[''].version], [version, version]);
});

test('with a binary, require and import return the same exports, and no inner module is exported', () => {
  copyFileSync(binaryPath, path.join(installed, path.basename(binaryPath)));
  const { names, same, limits, inner } = run(
    'use.mjs',
    `import { createRequire } from 'node:module';
     import * as everything from 'sluice';
     import sluice, { ConnectionTracker, RateLimiter, Registry, SluiceError, clientKey, listen } from 'sluice';
     const required = createRequire(import.meta.url)('sluice');
     const limiter = new RateLimiter('api', { limit: 2, window: '1h' });
     const attached = new required.RateLimiter('api');
     const inner = await import('sluice/lib/runtime/native.js').catch(({ code }) => code);
     console.log(JSON.stringify({
       names: Object.keys(everything).filter((name) => name !== 'default' && name !== 'module.exports').sort(),
       same: sluice === required && [ConnectionTracker, Registry, SluiceError, clientKey, listen]
         .every((value) => Object.values(required).includes(value)),
       limits: [limiter, attached, limiter].map((one) => one.tryConsume('client')),
       inner,
     }));`,
  );
  const exported = ['ConnectionTracker', 'RateLimiter', 'Registry', 'SluiceError', 'clientKey', 'listen'];
  assert.deepEqual(
    names.filter((name) => exported.includes(name)),
    exported,
  );
  assert.deepEqual(
    names,
    run('names.cjs', 'console.log(JSON.stringify(Object.keys(require("sluice")).sort()))'),
  );
  assert.ok(same);
  assert.deepEqual(limits, [true, true, false]);
  assert.equal(inner, 'ERR_PACKAGE_PATH_NOT_EXPORTED');
});

/** The frameworks that the project of a user has installed. */
const FRAMEWORKS = ['express', 'fastify'];

for (const [kind, name, load] of [
  ['require', 'serve.cjs', (module, as) => `const ${as} = require('${module}');`],
  ['import', 'serve.mjs', (module, as) => `import ${as} from '${module}';`],
]) {
  test(`sluice/express, sluice/fastify and sluice/testing work by ${kind}`, (t) => {
    for (const framework of FRAMEWORKS) link(framework);
    t.after(() => {
      for (const framework of FRAMEWORKS) rmSync(path.join(project, 'node_modules', framework));
    });
    const output = run(
      name,
      `${load('express', 'express')} ${load('fastify', 'fastify')}
       ${load('sluice/express', 'middleware')} ${load('sluice/fastify', 'plugin')} ${load('sluice/testing', 'testing')}
       async function main() {
         const clock = testing.manualClock();
         clock.set(0);
         const options = (name) => ({ name, rateLimit: { limit: 1, window: '1m' } });
         const app = fastify();
         await app.register(plugin, options('fastify'));
         app.get('/', async () => 'served');
         const asked = async () => (await app.inject('/')).statusCode;
         const statuses = [await asked(), await asked()];
         clock.advance('1m');
         statuses.push(await asked());
         const server = express().use(middleware(options('express')), (req, res) => res.send('served')).listen(0);
         const { port } = server.address();
         const { status, headers } = await fetch('http://127.0.0.1:' + port, { headers: { connection: 'close' } });
         server.close();
         server.closeAllConnections();
         console.log(JSON.stringify({ statuses, status, policy: headers.get('ratelimit-policy') }));
       }
       main();`,
    );
    assert.deepEqual(output, { statuses: [200, 429, 200], status: 200, policy: '"express";q=1;w=60' });
  });
}

/** The errors of TypeScript for these files, or ''. */
function compile(sources, options = {}) {
  for (const [name, text] of Object.entries(sources)) writeFileSync(path.join(project, name), text);
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2022',
    strict: true,
    noEmit: true,
    types: ['node'],
    ...options,
  };
  const config = JSON.stringify({ compilerOptions, files: Object.keys(sources) });
  writeFileSync(path.join(project, 'tsconfig.json'), config);
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, '--project', project], {
    cwd: project,
    encoding: 'utf8',
  });
  return status === 0 ? '' : `status ${status}: ${stdout}${stderr}`;
}

const USES = `
const limiter = new RateLimiter('api', { limit: 1, window: '1m' });
export const allowed: boolean = limiter.tryConsume('client');
export const wait: number = limiter.consume('client', 2).retryAfterMs;
export const open: number = new ConnectionTracker('sockets', { max: 1 }).count;
manualClock().advance('1s');
// @ts-expect-error: a key is text
limiter.tryConsume(1);
`;
const MTS = `import { ConnectionTracker, RateLimiter } from 'sluice';\nimport { manualClock } from 'sluice/testing';${USES}`;
const CTS = `import sluice = require('sluice');\nimport testing = require('sluice/testing');
const { ConnectionTracker, RateLimiter } = sluice;\nconst { manualClock } = testing;${USES}`;

test('TypeScript finds the types from ES modules and CommonJS, with only @types/node installed', () => {
  link('@types/node');
  // A dependency of @types/node.
  if (existsSync(path.join(root, 'node_modules', 'undici-types'))) link('undici-types');
  assert.equal(compile({ 'use.mts': MTS, 'use.cts': CTS }), '');
  const bundled = { module: 'esnext', moduleResolution: 'bundler' };
  assert.equal(compile({ 'use.mts': MTS }, bundled), '');
});

test('TypeScript finds the types of the middleware if those of the frameworks are installed', () => {
  for (const name of ['@types/express', 'fastify']) link(name);
  const express = (load) => `${load}
export const guard = sluice({ rateLimit: { limit: 5, window: '1m' } }).guard.name;
// @ts-expect-error: misspelt
sluice({ rateLimits: false });
`;
  const fastify = (load) => `${load}
fastify().register(sluice, { name: 'api' }).get('/', { config: { sluice: { rateLimit: false } } }, (request) => request.sluice?.outcome);
// @ts-expect-error: misspelt
fastify().register(sluice, { rateLimits: false });
`;
  const sources = {
    'express.mts': express(`import sluice from 'sluice/express';`),
    'express.cts': express(`import sluice = require('sluice/express');`),
    'fastify.mts': fastify(`import { fastify } from 'fastify';\nimport sluice from 'sluice/fastify';`),
    'fastify.cts': fastify(`import { fastify } from 'fastify';\nimport sluice = require('sluice/fastify');`),
  };
  assert.equal(compile(sources), '');
});
