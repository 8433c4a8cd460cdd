import path from 'node:path';
import { modifiedAt, root } from './addon.mjs';
import { npm } from './npm.mjs';
import { fail } from './requirements.mjs';

const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];

/** Installs the packages of `<folder>/tools`, where missing or outdated. `what` they are is said if that fails. */
export function installTools(folder, what) {
  const tools = path.join(root, folder, 'tools');
  const installedAt = modifiedAt(path.join(tools, 'node_modules', '.package-lock.json'));
  if (installedAt >= modifiedAt(path.join(tools, 'package-lock.json'))) return;
  const { status } = npm(['ci', '--prefix', tools, ...QUIET]);
  if (status !== 0) fail(`${what} could not be installed.`);
}
