/*
 * Processes that share a limiter and are killed: one after each change that its call makes (killer), and many at random
 * (storm). With `--planted` the bugs below are planted one by one: the test that each names must fail.
 *
 *   npm run test:kill
 *   npm run test:kill -- --planted
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { root } from './addon.mjs';
import { line } from './models.mjs';
import { fail, findRust } from './requirements.mjs';

const ONE_UP = 'every_unit_of_a_client_is_admitted_once';
const STATES = 'every_state_that_a_killed_process_leaves_is_sound';
const BESIDE = 'every_process_goes_on_beside_one_that_is_stopped';
const BLOCKS = 'every_block_beside_an_eviction_that_is_killed_stands';

/** Bugs of crates/core/src/runtime/planted.rs: the test that must find each, and the call in which it is looked for. */
const PLANTED = [
  { bug: 'StateStored', test: ONE_UP },
  { bug: 'HolderNotLookedAt', test: ONE_UP },
  { bug: 'SlotsNotLookedAt', test: ONE_UP },
  { bug: 'DeathNotNoticed', test: STATES, call: 'charge, 1 limit' },
  { bug: 'RecordsOfTheDeadStay', test: BESIDE, call: 'charge, 3 limits' },
  { bug: 'RecordNotDisowned', test: BESIDE, call: 'charge, 3 limits' },
  { bug: 'BlockNotRepaired', test: BLOCKS },
];

const { values: options, positionals } = parseArgs({
  options: { planted: { type: 'boolean', default: false } },
  allowPositionals: true,
});
findRust();
process.exitCode = options.planted ? planted() : cargo(['every_']).status;

/** Runs the ignored tests of both files whose names have the words. */
function cargo(words, env = {}, stdio = 'inherit') {
  const tests =
    'test --package sluice-machine --test killer --test storm --test tracker_killer --test tracker_storm --test reputation_killer --quiet -- --ignored --nocapture';
  return spawnSync('cargo', [...tests.split(' '), ...words], {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: Number.POSITIVE_INFINITY,
    stdio,
  });
}

function planted() {
  const build = {
    RUSTFLAGS: '--cfg sluice_planted',
    // Not the folder of other builds: other flags would build everything anew each time.
    CARGO_TARGET_DIR: path.join(root, 'target', 'planted'),
  };
  if (cargo(['--list'], build, 'pipe').status !== 0) fail('the tests do not compile with planted bugs.');
  const bugs = PLANTED.filter(({ bug }) => positionals.every((word) => bug.includes(word)));
  if (bugs.length === 0) fail(`no planted bug is called ${positionals.join(' ')}.`);
  const runs = new Map(bugs.map(({ test, call }) => [`${test} ${call ?? ''}`, { test, call }]));
  const wrong = [...runs.values(), ...bugs].filter(({ bug, test, call }) => {
    const startedAt = performance.now();
    const env = { ...build, SLUICE_PLANTED: bug, SLUICE_TEST_CALL: call, SLUICE_TEST_STATES: 'all' };
    const { status, stdout, stderr } = cargo([test], env, 'pipe');
    const right = (status === 0) === !bug;
    const verdict = right ? (bug ? 'found' : 'passed') : bug ? 'MISSED' : 'FAILED';
    const seconds = (performance.now() - startedAt) / 1_000;
    console.log(line(verdict, seconds, bug ? `${bug} by ${test}` : [test, call].filter(Boolean).join(', ')));
    if (!right && !bug) console.error(stdout + stderr);
    return !right;
  });
  console.log(
    wrong.length === 0 ? `All ${bugs.length} planted bugs were found.` : `${wrong.length} runs went wrong.`,
  );
  return wrong.length === 0 ? 0 : 1;
}
