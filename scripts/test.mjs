// Runs all test suites, each as an npm script, and prints a summary and what failed. Needs the npm packages; builds the
// addon first.
import { performance } from 'node:perf_hooks';
import { line, runLanes } from './lanes.mjs';
import { requireRust } from './requirements.mjs';

const MODELS =
  'models of the engine, exhaustively for small cases and at random for larger ones (loom, shuttle)';

/** Without bugs the same build of the models runs in `test:models`. */
const PLANTED = 'the models find bugs planted into the engine';

/** What most tests need is compiled first. What else is compiled, beside tests with deadlines, is in the background. */
const LANES = [
  [
    { script: 'build:tests', what: 'the tests of the engine are built' },
    { script: 'lint', what: 'Biome, rustfmt and clippy', inBackground: true },
    { script: 'test:models', what: MODELS, inBackground: true },
  ],
  [
    { script: 'setup', what: 'the addon is built' },
    { script: 'test:node', what: 'the addon in Node.js', after: ['setup', 'build:tests'] },
  ],
  [
    { script: 'test:types', what: 'TypeScript types' },
    { script: 'test:generated', what: 'generated files are current', after: ['setup'] },
    { script: 'test:install', what: 'the packages, from a registry without Rust', after: ['setup'] },
    { script: 'test:docs', what: 'every program of README.md and of the pages', after: ['setup'] },
    { script: 'test:browser', what: "the dashboard's page in Chromium", after: ['setup'] },
    { script: 'test:runners', what: 'sluice/testing under jest and vitest', after: ['setup'] },
    { script: 'examples', what: 'the examples and their totals', after: ['setup'] },
    { script: 'test:rust', what: 'the engine', after: ['build:tests'] },
    { script: 'test:planted', what: PLANTED, args: ['--bugs-alone'], inBackground: true },
  ],
];

requireRust();
const startedAt = performance.now();
const ended = await runLanes(LANES);

console.log('── npm test');
for (const result of ended) console.log(line(result));
const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
const failed = ended.filter(({ passed }) => !passed);
for (const { script, failure } of failed) console.log(`\n── ${script}: what failed\n${failure}\n`);
console.log(
  failed.length === 0
    ? `All tests passed, in ${minutes} minutes.`
    : `Failed: ${failed.map(({ script }) => script).join(', ')}.`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
