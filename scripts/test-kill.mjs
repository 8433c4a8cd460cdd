/*
 * Processes that share limiters, connections and bans, and are killed: one after each change that its call makes (killer), and
 * many at random (storm). With `--planted` the bugs below are planted one by one: the test that each names must fail.
 *
 *   npm run test:kill
 *   npm run test:kill -- --planted
 */
import { spawn } from 'node:child_process';
import os from 'node:os';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { root } from './addon.mjs';
import { line } from './models.mjs';
import { fail, findRust } from './requirements.mjs';

const ONE_UP = 'every_unit_of_a_client_is_admitted_once';
const STATES = 'every_state_that_a_killed_process_leaves_is_sound';
const BESIDE = 'every_process_goes_on_beside_one_that_is_stopped';
const STOPS = 'every_stop_between_two_changes_keeps_the_caps';
const CAPS = 'every_round_of_random_kills_keeps_the_caps';
const BAN_STATES = 'every_state_of_a_reputation_that_a_killed_process_leaves_is_sound';
const BANS = 'every_ban_that_was_acknowledged_outlives_random_kills';
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
  { bug: 'LookedBeforeRaised', test: STOPS },
  { bug: 'DeadRowCounted', test: CAPS },
  { bug: 'BannedEvicted', test: BAN_STATES },
  { bug: 'DeathNotNoticed', test: BANS },
];

/** The build in which bugs can be planted. */
const PLANTING = ['--features', 'sluice-core/planted'];

const { values: options, positionals } = parseArgs({
  options: { planted: { type: 'boolean', default: false } },
  allowPositionals: true,
});
findRust();
process.exitCode = options.planted ? await planted() : await cargo(['every_'], { stdio: 'inherit' }).ended;

/**
 * Runs the ignored tests of these files whose names have the words, by a build with or without `features`. `ended` is the
 * exit code, `printed` what it printed. The whole workspace is named: a package by itself would be built again, as its
 * dependencies have fewer features then.
 */
function cargo(words, { features = [], env = {}, stdio }) {
  const tests =
    '--test killer --test storm --test tracker_killer --test tracker_storm --test reputation_killer';
  const args = ['test', '--workspace', ...tests.split(' '), '--quiet', ...features];
  const child = spawn('cargo', [...args, '--', '--ignored', '--nocapture', ...words], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio,
  });
  const run = { printed: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => {
      run.printed += text;
    });
  }
  run.ended = new Promise((resolve) => child.once('close', resolve));
  return run;
}

async function planted() {
  if ((await cargo(['--list'], { features: PLANTING, stdio: 'pipe' }).ended) !== 0)
    fail('the tests do not compile with planted bugs.');
  const bugs = PLANTED.filter(({ bug }) => positionals.every((word) => bug.includes(word)));
  if (bugs.length === 0) fail(`no planted bug is called ${positionals.join(' ')}.`);
  const runs = [
    ...new Map(bugs.map(({ test, call }) => [`${test} ${call ?? ''}`, { test, call }])).values(),
    ...bugs,
  ];
  const count = runs.length;
  let wrong = 0;
  const lane = async () => {
    for (let run = runs.shift(); run !== undefined; run = runs.shift()) wrong += (await isRight(run)) ? 0 : 1;
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, lane));
  console.log(
    wrong === 0 ? `All ${bugs.length} planted bugs were found.` : `${wrong} of ${count} runs went wrong.`,
  );
  return wrong === 0 ? 0 : 1;
}

/** Whether a test fails with a bug, and passes without one. */
async function isRight({ bug, test, call }) {
  const startedAt = performance.now();
  const env = { SLUICE_PLANTED: bug, SLUICE_TEST_CALL: call, SLUICE_TEST_STATES: 'all' };
  const run = cargo([test], { features: PLANTING, env, stdio: 'pipe' });
  const right = ((await run.ended) === 0) === !bug;
  const verdict = right ? (bug ? 'found' : 'passed') : bug ? 'MISSED' : 'FAILED';
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(line(verdict, seconds, bug ? `${bug} by ${test}` : [test, call].filter(Boolean).join(', ')));
  if (!right && !bug) console.error(run.printed);
  return right;
}
