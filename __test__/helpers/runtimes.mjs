// Other runtimes than the one that runs the tests, where they are on the machine.
import { spawnSync } from 'node:child_process';

const VARIABLES = { bun: 'SLUICE_TEST_BUN', deno: 'SLUICE_TEST_DENO' };
const FLAGS = { deno: ['run', '--allow-all', '--quiet'] };

/** `{ execPath, flags }` to start a script with; `skip` says what is missing where there is none. */
export function runtime(name) {
  if (name === 'node') return { execPath: process.execPath, flags: [], skip: false };
  const execPath = process.env[VARIABLES[name]] ?? name;
  const { status } = spawnSync(execPath, ['--version']);
  const skip = status !== 0 && `no ${name}: put it in PATH, or its path in ${VARIABLES[name]}`;
  return { execPath, flags: FLAGS[name] ?? [], skip };
}
