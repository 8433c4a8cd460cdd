'use strict';

// Four worker threads count 80 requests of one client. Each scrape is answered by some thread, and shows the whole.

const { ask, check, repeat, startWorkers, tally } = require('../stage');

async function main() {
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  await repeat(80, 16, () => ask(port, '/', { from: '127.0.0.2' }));

  const pages = (await repeat(8, 1, () => ask(port, '/metrics'))).map(({ text }) => text);
  const values = (sample) => tally(pages.map((page) => valueOn(page, sample)));
  check(
    'passed, on 8 scrapes',
    values('sluice_requests_passed_total{guard="site",outcome="allowed"}'),
    '50 × 8',
  );
  check(
    'refused, on 8 scrapes',
    values('sluice_requests_refused_total{guard="site",reason="quota"}'),
    '30 × 8',
  );
  check('clients', values('sluice_limiter_size{guard="site",limiter="site"}'), '1 × 8');

  // Each scrape was a decision itself, as the guard skips it.
  const decisions = pages.map((page) => valueOn(page, 'sluice_guard_decision_seconds_count{guard="site"}'));
  check('decisions that were measured', decisions.join(', '), '81, 82, 83, 84, 85, 86, 87, 88');

  const own = pages.map((page) => valueOn(page, 'served_total'));
  check(
    'no thread alone has served all pages',
    own.every((count) => count < 50),
    true,
  );

  await Promise.all(workers.map((worker) => worker.terminate()));
}

/** The value of a sample on a page. */
function valueOn(page, sample) {
  const line = page.split('\n').find((one) => one.startsWith(`${sample} `));
  return Number(line?.slice(sample.length + 1));
}

main();
