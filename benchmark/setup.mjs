// What sluice is measured against and with: into benchmark/node_modules and benchmark/raw-call/target.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { npm } from '../scripts/npm.mjs';
import { buildRawCall } from './raw-call.mjs';

const { dependencies: measured, devDependencies: tools } = readJson('package.json');
/** Those that sluice's own tests need as well. */
const SHARED = ['@fastify/rate-limit', 'express', 'fastify'];

const require = createRequire(import.meta.url);

export function prepare() {
  installPeers();
  buildHyperLimitUnlessItLoads();
  buildRawCall();
}

/** Name and version of everything that is not ours. */
export function peers() {
  const shared = SHARED.map((name) => [name, readJson(`../node_modules/${name}/package.json`).version]);
  return [...Object.entries(measured), ...shared];
}

/** Installs what is missing. Without a network the peers are left out, loudly, and the rest is measured. */
function installPeers() {
  const missing = Object.entries({ ...measured, ...tools }).filter(
    ([name, version]) => installedVersion(name) !== version,
  );
  if (missing.length === 0) return;
  const list = missing.map((peer) => peer.join(' ')).join(', ');
  console.log(`sluice: installing what it is measured against into benchmark/node_modules: ${list}`);
  // No scripts: each peer is tried as it was published before anything of it is built.
  const flags = ['--ignore-scripts', '--omit=peer', '--no-audit', '--no-fund', '--loglevel=error'];
  npm(['ci', '--prefix', 'benchmark', ...flags]);
}

/** Its binary asks for a recent glibc; npm builds it from its sources where that is missing. */
function buildHyperLimitUnlessItLoads() {
  const name = '@hyperlimit/core';
  if (installedVersion(name) === undefined || loads(name)) return;
  console.log(`sluice: the binary that ${name} ships does not load here; npm builds it from its sources`);
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
