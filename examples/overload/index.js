'use strict';

// A shop is offered four times what it can answer. Without protection each request waits until its client has given up.
// With `overload`, the shop answers about as many as it can, and logins first.
//
//   node examples/overload/index.js      four times its load
//   node examples/overload/index.js 6    six times

const { check, startWorkers } = require('../stage');
const { answersPerSecond, offer } = require('./clients');

/** So many clients that wait for each answer keep the server busy. */
const BUSY = { clients: 8, seconds: 2 };
const SECONDS = 4;
/** A client that has no answer by then has gone. */
const PATIENCE_MS = 1000;

const KINDS = ['login', 'catalogue', 'recommendations'];

/** Of ten requests, one logs in, three look at the catalogue and six want recommendations. */
const MIX = [
  ...Array(1).fill({ kind: 'login', method: 'POST', path: '/login' }),
  ...Array(3).fill({ kind: 'catalogue', method: 'GET', path: '/catalogue' }),
  ...Array(6).fill({ kind: 'recommendations', method: 'GET', path: '/recommendations' }),
];

/** What `use` makes of the port of a shop. */
async function withShop(isProtected, use) {
  const { workers, port } = await startWorkers(require.resolve('./server'), 1, {
    workerData: { isProtected },
  });
  const made = await use(port);
  await Promise.all(workers.map((worker) => worker.terminate()));
  return made;
}

const of = (answers, kind) => answers.filter((one) => one.kind === kind);

/** The share of requests that were answered in time. */
function served(answers) {
  return answers.filter(({ status, ms }) => status === 200 && ms <= PATIENCE_MS).length / answers.length;
}

/** The share of answers that were refusals. Which requests had no answer says nothing about their kind. */
function refused(answers) {
  const answered = answers.filter(({ status }) => status !== undefined);
  return answered.filter(({ status }) => status === 503).length / answered.length;
}

function p99(answers) {
  const times = answers.filter(({ status }) => status === 200).map(({ ms }) => ms);
  return times.sort((a, b) => a - b)[Math.floor(0.99 * times.length)];
}

const percent = (share) => `${Math.round(100 * share)} %`;

async function main() {
  const times = Number(process.argv[2] ?? 4);
  const capacity = await withShop(false, (port) => answersPerSecond(port, MIX, BUSY));
  console.log(
    `the shop answers ${Math.round(capacity)} requests a second, and is offered ${times} times as many`,
  );
  const load = { perSecond: times * capacity, seconds: SECONDS, patienceMs: PATIENCE_MS };
  const without = await withShop(false, (port) => offer(port, MIX, load));
  console.log(`  without overload, ${percent(served(without))} are answered within a second`);

  const answers = await withShop(true, (port) => offer(port, MIX, load));
  console.log(`  with overload, ${percent(served(answers))}:`);
  const [login, catalogue, recommendations] = KINDS.map((kind) => of(answers, kind));
  for (const all of [login, catalogue, recommendations]) {
    console.log(`    ${all[0].kind}: ${percent(served(all))}, p99 ${Math.round(p99(all) ?? 0)} ms`);
  }

  // How much is answered, and how soon, depends on what else this machine does.
  check('logins are refused less than the catalogue', refused(login) < refused(catalogue), true);
  check(
    'the catalogue is refused less than recommendations',
    refused(catalogue) < refused(recommendations),
    true,
  );
  const refusals = answers.filter(({ status }) => status === 503);
  check(
    'every refusal says when to come again',
    refusals.every(({ retryAfter }) => retryAfter >= 1),
    true,
  );
}

main();
