/*
 * Plants the bugs of crates/core/src/runtime/planted.rs one by one: for each, the model that the table names must
 * fail, and it must pass where nothing is planted. A bug that its model does not find is an error.
 *
 *   npm run test:planted              all
 *   npm run test:planted -- watermark those whose name or description has the word
 *     --bugs-alone                    without the models where nothing is planted, which `npm run test:models` runs
 */
import { parseArgs } from 'node:util';
import { build, inParallel, line, list, run, runModel } from './models.mjs';
import { fail, findRust } from './requirements.mjs';

const { values: options, positionals: wanted } = parseArgs({
  options: { 'bugs-alone': { type: 'boolean', default: false } },
  allowPositionals: true,
});

/** The table of planted.rs. The compiler refuses a bug that has no place in the engine, and a place that has no bug. */
async function table(binary) {
  const { output } = await run(binary, [
    '--ignored',
    '--exact',
    'runtime::planted::tests::list',
    '--nocapture',
  ]);
  const bugs = [...output.matchAll(/planted\t(\w+)\t(\w+)\t(.+)$/gm)];
  if (bugs.length === 0) fail('crates/core/src/runtime/planted.rs lists no bug.');
  return bugs.map(([, bug, model, description]) => ({ bug, model, description }));
}

/** The full name of a model. */
function find(models, model, bug) {
  const [name, another] = models.filter((name) => name.endsWith(`::${model}`));
  if (!name || another) fail(`${model}, which must find ${bug}, names ${name ? 'two models' : 'no model'}.`);
  return name;
}

findRust();
const binary = build('loom');
const [all, models] = [await table(binary), await list(binary, 'models::')];
for (const planted of all) planted.model = find(models, planted.model, planted.bug);
const bugs = all.filter(({ bug, description }) =>
  wanted.every((word) => `${bug} ${description}`.includes(word)),
);
if (bugs.length === 0) fail(`no planted bug is described by ${wanted.join(' ')}.`);

const clean = options['bugs-alone']
  ? []
  : [...new Set(bugs.map(({ model }) => model))].map((model) => ({ model }));
const missed = await inParallel([...clean, ...bugs], async ({ bug, model, description }) => {
  const { outcome, seconds, output } = await runModel(binary, model, bug);
  const right = bug ? outcome === 'fails' : outcome === 'passes';
  const verdict = right ? (bug ? 'found' : 'passed') : bug ? 'MISSED' : 'FAILED';
  console.log(line(verdict, seconds, bug ? `${bug}: ${description}` : model));
  if (!right) console.error(`  ${model} ${outcome}${bug ? '' : `:\n${output}`}`);
  return !right;
});
const wrong = missed.filter(Boolean).length;
console.log(
  wrong === 0
    ? `All ${bugs.length} planted bugs were found.`
    : `${wrong} of ${missed.length} runs went wrong.`,
);
process.exitCode = wrong === 0 ? 0 : 1;
