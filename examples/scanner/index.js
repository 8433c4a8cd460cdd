'use strict';

// A scanner looks for sixty things that are not there, over four worker threads: the fifteenth bans it. A reader with
// an old bookmark asks for one missing page as often, and a visitor reads what there is; both stay.

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
  check('60 different paths that are not there', statuses(scan), '403 × 45, 404 × 15');
  check('one path that is not there, 60 times', statuses(bookmark), '404 × 60');
  check('60 visits', statuses(visit), '200 × 60');
  check('  the scanner is to come back in so many seconds', scan.at(-1).headers['retry-after'], 600);

  await until(() => alerts.length > 0);
  const told = alerts.map(
    ({ rule, client, count, detail }) => `${rule} by ${client}: ${count}, then ${detail}`,
  );
  check('alerts', told, [`scan by ${SCANNER}: 15, then /backup-14.zip`]);

  clock.advance('10m');
  const again = await repeat(60, 1, (turn) => ask(port, `/admin-${turn}`, { from: SCANNER }));
  check('ten minutes later it begins anew', statuses(again), '403 × 45, 404 × 15');
  check('  and is banned for twice as long', again.at(-1).headers['retry-after'], 1200);

  const { reputation, monitor, refusedAtAccept, refusedBy } = guard.stats();
  check('bans, and events recorded', [reputation.bans, monitor.recorded], [2, 90]);
  check('refused at accept, on open connections', [refusedAtAccept, refusedBy.ban], [90, 0]);

  clock.restore();
  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
