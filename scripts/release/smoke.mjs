/*
 * Uses the staged packages in npm/ on this machine as an installed project does: the programs of __test__/install with
 * Express, Fastify and worker threads, exact totals, and what this platform refuses.
 *
 *   npm run release:smoke
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { platformSuffix, root } from '../addon.mjs';
import { npmOutput } from './npm-output.mjs';
import { packages } from './paths.mjs';

const programs = path.join(root, '__test__', 'install', 'programs');
const { dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const platform = platformSuffix();
const project = mkdtempSync(path.join(os.tmpdir(), 'sluice-smoke-'));
try {
  installByHand();
  assert.deepEqual(JSON.parse(run('express.cjs')), { statuses: [200, 200, 429], admitted: 100 });
  assert.deepEqual(JSON.parse(run('fastify.mjs')), { statuses: [200, 200, 429] });
  assert.equal(run('listen.cjs'), process.platform === 'win32' ? 'ERR_SLUICE_UNSUPPORTED' : 'listening');
  console.log(`sluice: the package for ${platform} works on Node.js ${process.version}`);
} finally {
  rmSync(project, { recursive: true, force: true });
}

/** The packages are published nowhere yet, so they are copied to where an install puts them. */
function installByHand() {
  writeFileSync(path.join(project, 'package.json'), '{ "private": true }\n');
  const others = Object.entries(dependencies).map(([name, range]) => `${name}@${range}`);
  npmOutput(['install', '--no-audit', '--no-fund', 'express@5', 'fastify@5', ...others], project);
  for (const [from, name] of [
    ['sluice', 'sluice'],
    [platform, `sluice-${platform}`],
  ]) {
    cpSync(path.join(packages, from), path.join(project, 'node_modules', name), { recursive: true });
  }
  cpSync(programs, project, { recursive: true });
}

function run(program) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], {
    cwd: project,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  return stdout.trim();
}
