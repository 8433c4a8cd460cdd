// Installs the packages that sluice is compared with into benchmark/node_modules, and builds benchmark/raw-call.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { npm } from '../scripts/npm.mjs';
import { buildRawCall } from './raw-call.mjs';

const { dependencies: measured, devDependencies: tools } = readJson('package.json');
/** Packages compared with that the tests of sluice need as well. */
const SHARED = ['@fastify/rate-limit', 'express', 'fastify'];

const require = createRequire(import.meta.url);

export function prepare() {
  installOthers();
  buildHyperLimitUnlessItLoads();
  buildRawCall();
}

/** Name and version of every package compared with. */
export function peers() {
  const shared = SHARED.map((name) => [name, readJson(`../node_modules/${name}/package.json`).version]);
  return [...Object.entries(measured), ...shared];
}

/** Installs missing packages. Without a network their rows are skipped with a message. */
function installOthers() {
  const missing = Object.entries({ ...measured, ...tools }).filter(
    ([name, version]) => installedVersion(name) !== version,
  );
  if (missing.length === 0) return;
  const list = missing.map((one) => one.join(' ')).join(', ');
  console.log(`sluice: installing the packages compared with into benchmark/node_modules: ${list}`);
  // No scripts: a package is first tried as published, before anything of it is built.
  const flags = ['--ignore-scripts', '--omit=peer', '--no-audit', '--no-fund', '--loglevel=error'];
  npm(['ci', '--prefix', 'benchmark', ...flags]);
}

/** Its binary needs a recent glibc; without one, npm builds it from source. */
function buildHyperLimitUnlessItLoads() {
  const name = '@hyperlimit/core';
  if (installedVersion(name) === undefined || loads(name)) return;
  console.log(`sluice: the binary of ${name} does not load here; npm builds it from source`);
  npm(['rebuild', '--prefix', 'benchmark', '--loglevel=error', name]);
}

function loads(name) {
  try {
    require(name);
    return true;
  } catch {
    return false;
  }
}

function installedVersion(name) {
  try {
    return readJson(`node_modules/${name}/package.json`).version;
  } catch {
    return undefined;
  }
}

function readJson(file) {
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8'));
}
