'use strict';

// At three in the morning: which client is refused, why, and how is it let in? All by commands, over four worker threads.

const { execFile } = require('node:child_process');
const { mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');
const { ask, check, repeat, startWorkers, tally } = require('../stage');

const [VISITOR, GREEDY] = ['127.0.0.1', '127.0.0.2'];

/** What `npx sluice` runs. */
const COMMAND = path.join(path.dirname(require.resolve('sluice/package.json')), 'bin', 'sluice.js');

/** A folder for this run alone, so that no other server on this machine is found. */
const folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-e-'));
process.env.SLUICE_INSPECT_DIR = folder;

/** The JSON that a command prints. */
async function sluice(...args) {
  const { stdout } = await promisify(execFile)(process.execPath, [COMMAND, ...args, '--json']);
  return JSON.parse(stdout);
}

const statuses = (answers) => tally(answers.map(({ status }) => status).sort());

async function main() {
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  const visits = (from, times) => repeat(times, 5, () => ask(port, '/', { from }));
  check('60 requests of a greedy client', statuses(await visits(GREEDY, 60)), '200 × 20, 429 × 40');
  check('10 requests of a visitor', statuses(await visits(VISITOR, 10)), '200 × 10');

  const { offenders, threads } = await sluice('inspect');
  const [{ client, reason, source, minutes }] = offenders;
  const refused = minutes.reduce((sum, count) => sum + count, 0);
  check('threads that are inspected', threads.length, 4);
  check(
    'sluice inspect: the client that is refused most',
    [client, refused, reason, source],
    [GREEDY, 40, 'quota', 'shop'],
  );

  const { limiters } = await sluice('inspect', '--client', GREEDY);
  check('sluice inspect --client: what it has left', limiters[0].remaining, 0);

  const { done } = await sluice('admit', GREEDY);
  check('sluice admit', done[0].what, 'reset in "shop"');
  check('its next requests', statuses(await visits(GREEDY, 25)), '200 × 20, 429 × 5');

  await sluice('ban', GREEDY, '--for', '10m', '--reason', 'again');
  check('sluice ban: its next requests', statuses(await visits(GREEDY, 5)), '403 × 5');

  await Promise.all(workers.map((worker) => worker.terminate()));
  rmSync(folder, { recursive: true });
}

main();
