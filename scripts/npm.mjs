import { spawn, spawnSync } from 'node:child_process';
import { root } from './addon.mjs';

/** The npm that runs this script, if there is one, with these arguments. */
function commandOf(args) {
  const itself = process.env.npm_execpath;
  if (itself?.endsWith('.js')) return { file: process.execPath, args: [itself, ...args], shell: false };
  // On Windows npm is a script that needs a shell.
  return { file: 'npm', args, shell: process.platform === 'win32' };
}

/** Runs npm. */
export function npm(args) {
  const command = commandOf(args);
  return spawnSync(command.file, command.args, { cwd: root, shell: command.shell, stdio: 'inherit' });
}

/** Starts npm; what it prints can be read from the process. */
export function startNpm(args) {
  const command = commandOf(args);
  const stdio = ['ignore', 'pipe', 'pipe'];
  return spawn(command.file, command.args, { cwd: root, shell: command.shell, stdio });
}
