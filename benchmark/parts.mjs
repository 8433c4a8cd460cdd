// The parts of a run. Each returns Markdown `sections`, sentences on what was `skipped` and where sluice loses (`losses`),
// its `targets`, and the data of its `charts`.
import { load } from './machine.mjs';

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

export async function runParts(wanted, quick) {
  const parts = [];
  for (const name of wanted) {
    const before = load();
    // Imported here, as the parts load packages that the set-up installs.
    const { title, run } = await import(FILES[name]);
    parts.push({ title, ...(await run({ quick })), noise: { before, after: load() } });
  }
  return parts;
}
