import { execFileSync } from 'node:child_process';

/** What an outer npm sets for this repository; where the settings of the user are, holds everywhere. */
const OF_OUTER_NPM = /^npm_(?!config_userconfig$)/i;

/** What npm prints. */
export function npmOutput(args, cwd, env = {}) {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OF_OUTER_NPM.test(name)));
  const itself = process.env.npm_execpath;
  const [program, first] = itself?.endsWith('.js') ? [process.execPath, [itself]] : ['npm', []];
  return execFileSync(program, [...first, ...args], {
    cwd,
    env: { ...own, ...env },
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    // On Windows npm is a script that needs a shell.
    shell: program === 'npm' && process.platform === 'win32',
  });
}
