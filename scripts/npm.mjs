import { spawnSync } from 'node:child_process';
import { root } from './addon.mjs';

/** Runs npm, the one that runs us if one does. */
export function npm(args) {
  const options = { cwd: root, stdio: 'inherit' };
  const itself = process.env.npm_execpath;
  if (itself?.endsWith('.js')) return spawnSync(process.execPath, [itself, ...args], options);
  // On Windows npm is a script, which only a shell starts.
  return spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
}
