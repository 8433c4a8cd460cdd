/*
 * Installs the packages as users do, from a registry on loopback; see __test__/install/. The registry and the package
 * managers are installed once, in __test__/install/tools.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { modifiedAt, root } from './addon.mjs';
import { npm } from './npm.mjs';
import { fail } from './requirements.mjs';

/** Ends a run that hangs. */
const TIMEOUT_MS = 1_200_000;
const folder = path.join('__test__', 'install');
const tools = path.join(root, folder, 'tools');

const installedAt = modifiedAt(path.join(tools, 'node_modules', '.package-lock.json'));
if (!(installedAt >= modifiedAt(path.join(tools, 'package-lock.json')))) {
  const { status } = npm([
    'ci',
    '--prefix',
    tools,
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
  if (status !== 0) fail('the registry and the package managers of the test could not be installed.');
}
const args = [
  '--test',
  '--test-reporter=spec',
  `--test-timeout=${TIMEOUT_MS}`,
  path.join(folder, 'install.mjs'),
];
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
process.exitCode = status ?? 1;
