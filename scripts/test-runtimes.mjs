/*
 * Runs the Node tests on other versions of Node, on Bun and on Deno, and compares what fails with what is known to fail. Exits
 * with 1 if a test fails that is not known to, or if one passes that is known to fail. See docs/runtimes.md.
 *
 *   npm run test:runtimes                        everything, about an hour
 *   npm run test:runtimes -- bun deno            these runtimes: node20, node22, node24, node26, bun, deno
 *   npm run test:runtimes -- bun guard/          of these, the files whose path contains "guard/"
 *   npm run test:runtimes -- write               writes what is known (known.mjs) into docs/runtimes.md, and runs nothing
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { slowWakerEnv } from '../__test__/helpers/slow-waker.mjs';
import { root } from './addon.mjs';
import { NODE_ONLY } from './test-runtimes/known.mjs';
import { outcomesOf } from './test-runtimes/outcomes.mjs';
import { summaryOf, writePage } from './test-runtimes/page.mjs';
import { executableOf, RUNTIMES } from './test-runtimes/runtimes.mjs';
import { verdictOf } from './test-runtimes/verdict.mjs';

/** Most files wait more than they compute. */
const FILES_AT_ONCE = 2;

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
else process.exitCode = await runAll();

/** Runs all runtimes, one after the other, and prints the table. Returns the exit code. */
async function runAll() {
  // Built here, once, so that its time does not count as the time of a test.
  if (files.includes('broker/storm')) slowWakerEnv();
  const results = new Map();
  for (const key of keys) {
    const outcomes = await runOn(key);
    results.set(key, { outcomes, verdict: verdictOf(key, outcomes) });
  }
  for (const [key, { verdict }] of results) reportVerdict(RUNTIMES[key], verdict);
  console.log(`\n${summaryOf(results)}`);
  const isAsKnown = ({ verdict: { unexpected, stale } }) => unexpected.length + stale.length === 0;
  return [...results.values()].every(isAsKnown) ? 0 : 1;
}

/** Runs all files on one runtime. Resolves with their outcomes, by file. */
async function runOn(key) {
  const runtime = RUNTIMES[key];
  const executable = executableOf(runtime);
  console.log(`\n── ${runtime.title}: ${executable}`);
  const pending = files.filter((name) => key.startsWith('node') || !NODE_ONLY.has(name));
  const outcomes = new Map();
  const runPending = async () => {
    while (pending.length > 0) {
      const file = pending.shift();
      outcomes.set(file, await outcomesOf(runtime, executable, `__test__/${file}.test.mjs`));
      reportFile(key, file, outcomes.get(file));
    }
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, runPending));
  return outcomes;
}

function reportFile(key, file, { passed, failed, output, seconds }) {
  const { known, unexpected } = verdictOf(key, new Map([[file, { passed, failed }]]));
  const counts = `${passed.length} of ${passed.length + failed.length}`;
  const mark = unexpected.length === 0 ? '✓' : '✗';
  console.log(`${mark} ${file.padEnd(40)}${counts.padEnd(12)}${seconds.toFixed(1).padStart(6)} s`);
  for (const { test } of known) console.log(`    known   ${test}`);
  for (const { test } of unexpected) console.log(`    FAILED  ${test}`);
  if (unexpected.length > 0) console.log(output.split('\n').slice(-80).join('\n'));
}

function reportVerdict({ title }, { passed, known, unexpected, stale }) {
  console.log(`\n── ${title}: ${passed} passed, ${known.length} failed as known`);
  for (const { file, test } of unexpected)
    console.log(`FAILED, and no entry of known.mjs has it: ${file}: ${test}`);
  for (const { file, test } of stale) {
    console.log(`passes, or is gone: remove it from known.mjs: ${file}: ${test || 'any test'}`);
  }
}
