'use strict';

// A scanner requests sixty missing paths from four worker threads: the fifteenth bans it. A reader with an old bookmark
// requests one missing page as often, and a visitor an existing one; neither is banned.

const { createGuard } = require('sluice');
const { manualClock } = require('sluice/testing');
const { ask, check, repeat, startWorkers, tally, until } = require('../stage');

const [VISITOR, READER, SCANNER] = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];

const statuses = (answers) => tally(answers.map(({ status }) => status).sort());

async function main() {
  const clock = manualClock();
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);
  const guard = createGuard('site');
  const alerts = [];
  guard.monitor.on('alert', (alert) => alerts.push(alert));

  const [scan, bookmark, visit] = await Promise.all([
    repeat(60, 1, (turn) => ask(port, `/backup-${turn}.zip?try=${turn}`, { from: SCANNER })),
    repeat(60, 1, (turn) => ask(port, `/old-page?visit=${turn}`, { from: READER })),
    repeat(60, 1, () => ask(port, '/', { from: VISITOR })),
  ]);
  check('60 different missing paths', statuses(scan), '403 × 45, 404 × 15');
  check('one missing path, 60 times', statuses(bookmark), '404 × 60');
  check('60 visits', statuses(visit), '200 × 60');
  check('  Retry-After of the scanner, in seconds', scan.at(-1).headers['retry-after'], 600);

  await until(() => alerts.length > 0);
  const summaries = alerts.map(
    ({ rule, client, count, detail }) => `${rule} by ${client}: ${count}, then ${detail}`,
  );
  check('alerts', summaries, [`scan by ${SCANNER}: 15, then /backup-14.zip`]);

  clock.advance('10m');
  const again = await repeat(60, 1, (turn) => ask(port, `/admin-${turn}`, { from: SCANNER }));
  check('ten minutes later the scanner starts again', statuses(again), '403 × 45, 404 × 15');
  check('  Retry-After, twice as long', again.at(-1).headers['retry-after'], 1200);

  const { reputation, monitor, refusedAtAccept, refusedBy } = guard.stats();
  check('bans, and events recorded', [reputation.bans, monitor.recorded], [2, 90]);
  check('refused at accept, on open connections', [refusedAtAccept, refusedBy.ban], [90, 0]);

  clock.restore();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
