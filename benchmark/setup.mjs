// The limiters that sluice is measured against: into benchmark/node_modules, without a lockfile.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { npm } from '../scripts/npm.mjs';

export const peers = readJson('package.json').dependencies;

const require = createRequire(import.meta.url);

/** Installs what is missing. Without a network the peers are left out, loudly, and the rest is measured. */
export function installPeers() {
  const missing = Object.entries(peers).filter(([name, version]) => installedVersion(name) !== version);
  if (missing.length > 0) {
    const list = missing.map((peer) => peer.join(' ')).join(', ');
    console.log(`sluice: installing what it is measured against into benchmark/node_modules: ${list}`);
    // No scripts: each peer is tried as it was published before anything of it is built.
    const flags = ['--no-package-lock', '--ignore-scripts', '--omit=peer', '--no-audit', '--no-fund'];
    npm(['install', '--prefix', 'benchmark', '--loglevel=error', ...flags]);
  }
  buildHyperLimitUnlessItLoads();
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
