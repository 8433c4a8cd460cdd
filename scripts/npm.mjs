import { spawnSync } from 'node:child_process';
import { root } from './addon.mjs';

/** Runs npm: the one that runs this script, if there is one. */
export function npm(args) {
  const options = { cwd: root, stdio: 'inherit' };
  const itself = process.env.npm_execpath;
  if (itself?.endsWith('.js')) return spawnSync(process.execPath, [itself, ...args], options);
  // On Windows npm is a script that needs a shell.
  return spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
}
