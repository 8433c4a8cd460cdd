/*
 * The engine's models: small cases under every order in which threads may interleave (loom), larger ones under
 * random orders, the same each time (shuttle).
 *
 *   npm run test:models            all
 *   npm run test:models -- blocks  those whose full name has the word
 */
import { build, inParallel, line, list, runModel } from './models.mjs';
import { fail, findRust } from './requirements.mjs';

const MODULES = { loom: 'models::', shuttle: 'schedules::' };

findRust();
const wanted = process.argv.slice(2);
const models = [];
for (const [checker, module] of Object.entries(MODULES)) {
  const binary = build(checker);
  const names = await list(binary, module);
  models.push(...names.map((name) => ({ binary, name })));
}
const chosen = models.filter(({ name }) => wanted.every((word) => name.includes(word)));
if (chosen.length === 0) fail(`no model's name has ${wanted.join(' ')}.`);

const passed = await inParallel(chosen, async ({ binary, name }) => {
  const { outcome, seconds, output } = await runModel(binary, name);
  console.log(line(outcome === 'passes' ? 'passed' : 'FAILED', seconds, name));
  if (outcome !== 'passes') console.error(`${name} ${outcome}:\n${output}`);
  return outcome === 'passes';
});
const failed = passed.filter((passed) => !passed).length;
console.log(
  failed === 0 ? `All ${passed.length} models passed.` : `${failed} of ${passed.length} models failed.`,
);
process.exitCode = failed === 0 ? 0 : 1;
