// Tests sluice/testing under jest and vitest, which are installed once, in __test__/runners.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { modifiedAt, root } from './addon.mjs';
import { npm } from './npm.mjs';
import { fail } from './requirements.mjs';

/** Ends a run that hangs. */
const TIMEOUT_MS = 600_000;
const folder = path.join('__test__', 'runners');
const runners = path.join(root, folder);

const installedAt = modifiedAt(path.join(runners, 'node_modules', '.package-lock.json'));
if (!(installedAt >= modifiedAt(path.join(runners, 'package-lock.json')))) {
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = npm(['ci', '--prefix', runners, '--ignore-scripts', ...quiet]);
  if (status !== 0) fail('jest and vitest could not be installed.');
}
const args = [
  '--test',
  '--test-reporter=spec',
  `--test-timeout=${TIMEOUT_MS}`,
  path.join(folder, 'runners.mjs'),
];
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
process.exitCode = status ?? 1;
