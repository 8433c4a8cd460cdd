'use strict';

// Ann is on the free plan, Bob on the paid one. Four worker threads serve both; a manual clock lets a day pass.

const { manualClock } = require('sluice/testing');
const { ask, check, repeat, startWorkers, tally } = require('../stage');

async function main() {
  // The clock of all threads. It is stopped, so the totals are exact.
  const clock = manualClock();
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);

  const get = (name, path) => ask(port, path, { headers: { 'x-api-key': `key-of-${name}` } });
  const atOnce = async (times, name, path) => {
    const answers = await repeat(times, 10, () => get(name, path));
    return tally(answers.map(({ status }) => status).sort());
  };

  console.log('The first second: 100 units');
  check('ann asks 40 times, at 10 units', await atOnce(40, 'ann', '/items'), '200 × 10, 429 × 30');
  check('bob asks 40 times, at 1 unit', await atOnce(40, 'bob', '/items'), '200 × 40');
  check('bob asks for 20 reports, at 5 units', await atOnce(20, 'bob', '/report'), '200 × 12, 429 × 8');

  clock.advance('1s');
  console.log('The next second');
  check('ann asks for 4 reports, at 50 units', await atOnce(4, 'ann', '/report'), '200 × 2, 429 × 2');
  clock.advance('1s');
  show(await get('ann', '/items'));
  check('ann asks 40 times more', await atOnce(40, 'ann', '/items'), '200 × 9, 429 × 31');

  clock.advance('1s');
  console.log('Another second later the 300 units of the day are used up');
  const late = await get('ann', '/items');
  check('ann asks once more', late.status, 429);
  check('the limit violated', JSON.parse(late.text)['violated-policies'], ['day']);
  show(late);
  check('bob is still served', (await get('bob', '/report')).status, 200);
  check('a client without a key', (await get('eve', '/items')).status, 401);

  clock.advance('1d');
  console.log('The next day');
  check('ann asks', (await get('ann', '/items')).status, 200);

  await Promise.all(workers.map((worker) => worker.terminate()));
}

function show({ headers }) {
  for (const name of ['RateLimit-Policy', 'RateLimit', 'Retry-After']) {
    const value = headers[name.toLowerCase()];
    if (value !== undefined) console.log(`    ${name}: ${value}`);
  }
}

main();
