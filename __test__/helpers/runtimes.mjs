// Other JavaScript runtimes, if they are installed.
import { spawnSync } from 'node:child_process';

const VARIABLES = { bun: 'SLUICE_TEST_BUN', deno: 'SLUICE_TEST_DENO' };
const FLAGS = { deno: ['run', '--allow-all', '--quiet'] };

const { bun, deno } = process.versions;

/** Why a test of a heap's bound is skipped, or false: without the bound the heap takes all memory of the machine. */
export const unboundedHeaps = bun !== undefined && 'Bun ignores resourceLimits';

/** The same for a thread's stack: Deno aborts the process where a small one is exceeded. */
export const unboundedStacks = unboundedHeaps || (deno !== undefined && 'Deno does not bound stacks');

/** Why tests of what a server has read are skipped, or false: with a head or a handshake incomplete, Bun reports no bytes. */
export const unreportedBytes = bun !== undefined && 'Bun reports no bytes of incomplete heads and handshakes';

/** Why a test of a cluster's event is skipped, or false: it would wait until its limit. */
export const silentListening = bun !== undefined && "Bun emits no 'listening' in the primary";

/** Why tests of refused uploads over HTTP/2 are skipped, or false. Other clients see the stream close. */
export const openStreams =
  deno !== undefined && 'the HTTP/2 client of Deno does not close a stream while it uploads';

/** `{ execPath, flags }` to start a script with. `skip` is false, or says what is missing. */
export function runtime(name) {
  if (name === 'node') return { execPath: process.execPath, flags: [], skip: false };
  const execPath = process.env[VARIABLES[name]] ?? name;
  const { status } = spawnSync(execPath, ['--version']);
  const skip = status !== 0 && `no ${name}: put it in PATH, or its path in ${VARIABLES[name]}`;
  return { execPath, flags: FLAGS[name] ?? [], skip };
}
