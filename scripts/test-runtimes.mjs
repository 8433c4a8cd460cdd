/*
 * Runs the Node tests on other versions of Node, on Bun and on Deno, and compares what fails with what is known to fail. See
 * docs/runtimes.md.
 *
 *   npm run test:runtimes                        everything, about an hour
 *   npm run test:runtimes -- bun deno            these runtimes: node20, node22, node24, node26, bun, deno
 *   npm run test:runtimes -- bun guard/          of these, the files whose path contains "guard/"
 *   npm run test:runtimes -- write               writes what is known (known.mjs) into docs/runtimes.md, and runs nothing
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { root } from './addon.mjs';
import { entriesOf, isKnown, NODE_ONLY } from './test-runtimes/known.mjs';
import { outcomesOf } from './test-runtimes/outcomes.mjs';
import { writePage } from './test-runtimes/page.mjs';
import { executableOf, RUNTIMES } from './test-runtimes/runtimes.mjs';

const args = process.argv.slice(2);
const parts = args.filter((arg) => !Object.hasOwn(RUNTIMES, arg));
const keys = Object.keys(RUNTIMES).filter((key) => args.length === parts.length || args.includes(key));

/** Paths in `__test__` without their ending. */
const files = readdirSync(path.join(root, '__test__'), { recursive: true })
  .filter((name) => name.endsWith('.test.mjs') && !name.includes('node_modules'))
  .map((name) => name.replaceAll(path.sep, '/').replace('.test.mjs', ''))
  .filter((name) => parts.length === 0 || parts.some((part) => name.includes(part)))
  .sort();

if (args[0] === 'write') writePage();
else process.exitCode = keys.map(runOn).every((isAsKnown) => isAsKnown) ? 0 : 1;

/** Runs all files on one runtime. Returns whether only known tests failed. */
function runOn(key) {
  const runtime = RUNTIMES[key];
  const executable = executableOf(runtime);
  const totals = { passed: 0, known: 0, unknown: 0 };
  console.log(`\n── ${runtime.title}: ${executable}`);
  for (const file of files.filter((name) => key.startsWith('node') || !NODE_ONLY.has(name))) {
    const outcomes = outcomesOf(runtime, executable, `__test__/${file}.test.mjs`);
    const known = outcomes.failed.filter((test) => isKnown(key, file, test));
    const unknown = outcomes.failed.filter((test) => !isKnown(key, file, test));
    totals.passed += outcomes.passed.length;
    totals.known += known.length;
    totals.unknown += unknown.length;
    report(file, outcomes, {
      known,
      unknown,
      areExpected: entriesOf(key).some(({ tests }) => file in tests),
    });
  }
  const { passed, known, unknown } = totals;
  console.log(`${runtime.title}: ${passed} passed, ${known} failed as known, ${unknown} failed unexpectedly`);
  return unknown === 0;
}

function report(file, { passed, failed, output }, { known, unknown, areExpected }) {
  const isClean = unknown.length === 0;
  console.log(
    `${isClean ? '✓' : '✗'} ${file.padEnd(40)}${passed.length} of ${passed.length + failed.length}`,
  );
  for (const test of known) console.log(`    known   ${test}`);
  for (const test of unknown) console.log(`    FAILED  ${test}`);
  if (areExpected && failed.length === 0)
    console.log('    nothing fails here any more: remove it from known.mjs');
  if (!isClean) console.log(output.split('\n').slice(-80).join('\n'));
}
