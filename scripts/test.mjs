// Runs all test suites, each as an npm script, and prints a summary. Needs the npm packages; builds the addon first.
import { performance } from 'node:perf_hooks';
import { line, runLanes } from './lanes.mjs';
import { requireRust } from './requirements.mjs';

const LANES = [
  {
    inBackground: true,
    scripts: {
      lint: 'Biome, rustfmt and clippy',
      'build:tests': 'the tests of the engine are built',
      'test:models':
        'models of the engine, exhaustively for small cases and at random for larger ones (loom, shuttle)',
      'test:planted': 'the models find bugs planted into the engine',
    },
  },
  {
    scripts: {
      setup: 'the addon is built',
      'test:node': 'the addon in Node.js',
    },
  },
  {
    after: 'setup',
    scripts: {
      'test:generated': 'generated files are current',
      'test:types': 'TypeScript types',
      'test:install': 'the packages, installed from a registry without Rust',
      'test:docs': 'every program of README.md and of the pages',
      'test:browser': "the dashboard's page in Chromium",
      'test:runners': 'sluice/testing under jest and vitest',
      examples: 'the examples and their totals',
      'test:rust': 'the engine',
    },
  },
];

requireRust();
const startedAt = performance.now();
const ended = await runLanes(LANES);

console.log('── npm test');
for (const result of ended) console.log(line(result));
const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
const failed = ended.filter(({ passed }) => !passed);
console.log(
  failed.length === 0
    ? `All tests passed, in ${minutes} minutes.`
    : `Failed: ${failed.map(({ script }) => script).join(', ')}.`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
