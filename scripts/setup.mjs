/*
 * Prepares a fresh clone: installs npm packages and builds the addon, where missing or outdated.
 *
 *   npm run setup
 *     --packages                      installs packages only
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { modifiedAt, root, whyStale } from './addon.mjs';
import { npm } from './npm.mjs';
import { fail, requireNode, requireRust } from './requirements.mjs';

const { values: options } = parseArgs({ options: { packages: { type: 'boolean', default: false } } });

requireNode();
const whyBuild = whyStale();
// Checked before anything is downloaded.
if (whyBuild !== undefined) requireRust();
installPackages();
if (whyBuild !== undefined && !options.packages) buildAddon(whyBuild);

function installPackages() {
  const installedAt = modifiedAt(path.join(root, 'node_modules', '.package-lock.json'));
  if (installedAt >= modifiedAt(path.join(root, 'package-lock.json'))) return;
  step('installing npm packages (npm ci)', () => npm(['ci', '--no-audit', '--no-fund', '--loglevel=error']));
}

/** Builds only the binary: tests must not change committed files. */
function buildAddon(why) {
  const build = [path.join(root, 'scripts', 'build.mjs'), '--binary-only'];
  step(`building the addon, because ${why} (cargo; about a minute the first time)`, () =>
    spawnSync(process.execPath, build, { cwd: root, stdio: 'inherit' }),
  );
}

function step(what, run) {
  console.log(`sluice: ${what}`);
  const { status } = run();
  if (status !== 0) fail(`stopped while ${what.split(/[,(]/)[0].trim()}.`);
}
