/*
 * Benchmarks of sluice and of other packages in the same run.
 *
 *   npm run bench                            everything, about forty minutes
 *   npm run bench -- --quick                 everything, with fewer rounds, noisier
 *   npm run bench -- --only js,http          these parts: js, http, memory, engine, broker, stores, fleet,
 *                                          machine, observation, flow, semaphore, overload
 *   npm run bench -- --write                 also writes docs/benchmarks.md, docs/benchmarks/ and docs/performance.md
 *   npm run bench -- --resume                goes on after the last part that an interrupted run of this code ended
 */
import { parseArgs } from 'node:util';
import { describeMachine } from './machine.mjs';
import { results, writePage } from './page.mjs';
import { PARTS, runParts } from './parts.mjs';
import { prepare } from './setup.mjs';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: PARTS.join(',') },
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    resume: { type: 'boolean', default: false },
  },
});
const wanted = options.only.split(',');
const unknown = wanted.filter((name) => !PARTS.includes(name));
if (unknown.length > 0) fail(`--only is "${unknown.join(',')}"; accepted: some of ${PARTS.join(', ')}.`);
if (options.write && wanted.length < PARTS.length)
  fail('--write cannot be combined with --only: the page shows all parts of one run.');

prepare();
const machine = describeMachine();
for (const [what, value] of Object.entries(machine)) console.log(`${what.padEnd(8)} ${value}`);
const parts = await runParts(wanted, options);
console.log(`\n${results(parts)}`);
if (options.write) await writePage({ machine, parts, quick: options.quick });
// Timers of other packages must not keep the process alive.
process.exit();

function fail(sentence) {
  console.error(`sluice: ${sentence}`);
  process.exit(1);
}
