// The parts of a run. Each returns Markdown `sections`, sentences on what was `skipped` and where sluice loses (`losses`),
// its `targets`, and the data of its `charts`.
import { load } from './machine.mjs';
import { keep, kept } from './resume.mjs';

const FILES = {
  js: './js/index.mjs',
  http: './http/index.mjs',
  memory: './memory/index.mjs',
  engine: './engine.mjs',
  broker: './broker/index.mjs',
  semaphore: './semaphore/index.mjs',
  stores: './stores/index.mjs',
  fleet: './fleet/index.mjs',
  machine: './machine/index.mjs',
  observation: './observation/index.mjs',
  flow: './flow/index.mjs',
  overload: './overload/index.mjs',
};

export const PARTS = Object.keys(FILES);

/** Each part is kept when it has ended; with `resume`, those that an interrupted run of this commit kept are not run again. */
export async function runParts(wanted, { quick, resume }) {
  const run = resume ? kept(quick) : {};
  for (const name of wanted.filter((name) => run[name] === undefined)) {
    const before = load();
    // Imported here, as the parts load packages that the set-up installs.
    const { title, run: measure } = await import(FILES[name]);
    run[name] = { title, ...(await measure({ quick })), noise: { before, after: load() } };
    keep(quick, run);
  }
  return wanted.map((name) => run[name]);
}
