// Runs all test suites, cheapest first, each as an npm script, and prints a summary.
import { npm } from './npm.mjs';
import { requireRust } from './requirements.mjs';

const SUITES = {
  lint: 'Biome, rustfmt and clippy',
  'test:generated': 'generated files are current',
  'test:types': 'TypeScript types',
  'test:rust': 'the engine',
  'test:models':
    'models of the engine, exhaustively for small cases and at random for larger ones (loom, shuttle)',
  'test:planted': 'the models find bugs planted into the engine',
  'test:node': 'the addon in Node.js',
  'test:runners': 'sluice/testing under jest and vitest',
  'test:browser': "the dashboard's page in Chromium",
  examples: 'the examples and their totals',
  'test:docs': 'every program of README.md and of the pages',
  'test:install': 'the packages, installed from a registry without Rust',
};

requireRust();
const ended = Object.entries(SUITES).map(([script, what]) => {
  console.log(`\n── ${script}: ${what}`);
  const startedAt = performance.now();
  const { status } = npm(['run', '--silent', script]);
  return { script, passed: status === 0, seconds: (performance.now() - startedAt) / 1000 };
});

console.log('\n── npm test');
for (const { script, passed, seconds } of ended) {
  console.log(`${passed ? 'passed' : 'FAILED'}  ${script.padEnd(16)}${seconds.toFixed(1).padStart(6)} s`);
}
const failed = ended.filter(({ passed }) => !passed);
console.log(
  failed.length === 0 ? 'All tests passed.' : `Failed: ${failed.map(({ script }) => script).join(', ')}.`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
