/*
 * Installs the packages as users do, from a registry on loopback; see __test__/install/. The registry and the package
 * managers are installed once, in __test__/install/tools.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { root } from './addon.mjs';
import { installTools } from './install-tools.mjs';

/** Ends a run that hangs. */
const TIMEOUT_MS = 1_200_000;
const folder = path.join('__test__', 'install');

installTools(folder, 'the registry and the package managers of the test');
const args = [
  '--test',
  '--test-reporter=spec',
  `--test-timeout=${TIMEOUT_MS}`,
  path.join(folder, 'install.mjs'),
];
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
process.exitCode = status ?? 1;
