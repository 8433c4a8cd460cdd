/*
 * Runs every program of README.md and of the pages as it stands; see __test__/docs/. What only pages use is installed once,
 * in __test__/docs/tools.
 *
 *   npm run test:docs                      all pages
 *   npm run test:docs -- guard migration   pages whose path contains "guard" or "migration"
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { root } from './addon.mjs';
import { installTools } from './install-tools.mjs';

const folder = path.join('__test__', 'docs');
installTools(folder, 'what only the pages use');
const wanted = process.argv.slice(2);
const env = wanted.length === 0 ? process.env : { ...process.env, SNIPPET_PAGES: wanted.join(',') };
const args = [
  '--test',
  '--test-reporter=spec',
  path.join(folder, 'pages.mjs'),
  path.join(folder, 'runner.mjs'),
];
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env });
process.exitCode = status ?? 1;
