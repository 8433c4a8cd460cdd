'use strict';

// A shop is offered four times what it can answer. Without protection each request waits until its client has given up.
// With `overload`, the shop answers about as many as it can, and logins first.
//
//   node examples/overload/index.js      four times its load
//   node examples/overload/index.js 6    six times

const { check, startWorkers } = require('../stage');
const { offer } = require('./clients');

/** Requests a second that the server can answer, at two milliseconds each and some for the rest. */
const CAPACITY = 420;
const SECONDS = 4;
/** A client that has no answer by then has gone. */
const PATIENCE_MS = 1000;
const LOGIN_WITHIN_MS = 250;

/** Of ten requests, two log in, six look at the catalogue and two want recommendations. */
const MIX = [
  ...Array(2).fill({ kind: 'login', method: 'POST', path: '/login' }),
  ...Array(6).fill({ kind: 'catalogue', method: 'GET', path: '/catalogue' }),
  ...Array(2).fill({ kind: 'recommendations', method: 'GET', path: '/recommendations' }),
];

async function serve(times, isProtected) {
  const { workers, port } = await startWorkers(require.resolve('./server'), 1, {
    workerData: { isProtected },
  });
  const load = { perSecond: times * CAPACITY, seconds: SECONDS, patienceMs: PATIENCE_MS };
  const answers = await offer(port, MIX, load);
  await Promise.all(workers.map((worker) => worker.terminate()));
  return answers;
}

/** The share of requests that were answered in time, by what they wanted. */
function served(answers, kind) {
  const all = answers.filter((one) => kind === undefined || one.kind === kind);
  return all.filter(({ status, ms }) => status === 200 && ms <= PATIENCE_MS).length / all.length;
}

function p99(answers, kind) {
  const times = answers.filter((one) => one.kind === kind && one.status === 200).map(({ ms }) => ms);
  return times.sort((a, b) => a - b)[Math.floor(0.99 * times.length)];
}

const percent = (share) => `${Math.round(100 * share)} %`;

async function main() {
  const times = Number(process.argv[2] ?? 4);
  console.log(`${times} times the load that the shop can answer, for ${SECONDS} s`);

  const without = await serve(times, false);
  console.log(`  without overload, ${percent(served(without))} are answered within a second`);

  const answers = await serve(times, true);
  for (const kind of ['login', 'catalogue', 'recommendations']) {
    console.log(`  with overload, ${kind}: ${percent(served(answers, kind))} served`);
  }
  console.log(`  p99 of logins: ${Math.round(p99(answers, 'login'))} ms`);

  const [login, catalogue, recommendations] = ['login', 'catalogue', 'recommendations'].map((kind) =>
    served(answers, kind),
  );
  check('more is served than without', served(answers) > 2 * served(without), true);
  check('logins are served before the catalogue', login > 2 * catalogue, true);
  check('the catalogue is served before recommendations', catalogue >= recommendations, true);
  check(
    `logins are answered within ${LOGIN_WITHIN_MS} ms (p99)`,
    p99(answers, 'login') <= LOGIN_WITHIN_MS,
    true,
  );
  const refused = answers.filter(({ status }) => status === 503);
  check(
    'every refusal says when to come again',
    refused.every(({ retryAfter }) => retryAfter >= 1),
    true,
  );
}

main();
