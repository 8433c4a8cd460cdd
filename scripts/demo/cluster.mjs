// Four processes of a cluster with two threads each share one limit; one of them is killed and replaced on the way.
import cluster from 'node:cluster';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { printTable } from './screen.mjs';

const PROCESSES = 4;
const THREADS = 2;
const LIMIT = 600_000;
/** So much of the quota is used when a process is killed. */
const KILLED_AT = LIMIT / 6;
/** What each thread takes before the killed process is replaced: together less than the quota. */
const AT_FIRST = LIMIT / (2 * PROCESSES * THREADS);

/** Prints what each process admitted; whether no unit was admitted twice, and none was lost but those under way. */
export async function demoCluster() {
  if (process.platform !== 'linux') {
    console.log('processes share limits on Linux only: the cluster was not shown');
    return true;
  }
  const directory = mkdtempSync('/dev/shm/sluice-demo-');
  try {
    return await show(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function show(directory) {
  console.log(
    `\n${PROCESSES} processes, ${THREADS} threads each, one client, one limit of ${LIMIT}; one process is killed\n`,
  );
  const exec = fileURLToPath(new URL('./cluster-worker.cjs', import.meta.url));
  cluster.setupPrimary({ exec });
  const task = JSON.stringify({ directory, limit: LIMIT, threads: THREADS, atFirst: AT_FIRST });
  const workers = Array.from({ length: PROCESSES }, () => start(task));
  await until(() => admittedBy(directory) >= KILLED_AT);
  workers[0].worker.process.kill('SIGKILL');
  await workers[0].ended;
  const replacement = start(task);
  workers.push(replacement);
  await until(() => admittedBy(directory, replacement.worker.process.pid) > 0);
  writeFileSync(path.join(directory, 'replaced'), '');
  const ends = await Promise.all(workers.map(({ ended }) => ended));

  const rows = workers.map(({ worker }, index) => {
    const { pid } = worker.process;
    const [code, signal] = ends[index];
    return [pid, THREADS, admittedBy(directory, pid), signal ?? `exit code ${code}`];
  });
  const admitted = admittedBy(directory);
  printTable(['process', 'threads', 'admitted', 'end'], [...rows, ['all', '', admitted, '']]);
  const killed = ends.filter(([, signal]) => signal === 'SIGKILL').length;
  console.log(
    `admitted together: ${admitted} of ${LIMIT}; a thread that is killed wastes at most the call it was in`,
  );
  const haveOthersEnded = ends.every(([code, signal]) => code === 0 || signal === 'SIGKILL');
  return haveOthersEnded && killed === 1 && admitted <= LIMIT && admitted >= LIMIT - THREADS;
}

function start(task) {
  const worker = cluster.fork({ SLUICE_DEMO_TASK: task });
  return { worker, ended: once(worker, 'exit') };
}

/** Units that callers were told, of one process or of all: each thread adds a byte to a file for each. */
function admittedBy(directory, pid) {
  const files = readdirSync(directory).filter((name) => name.startsWith(`told-${pid ?? ''}`));
  return files.reduce((sum, name) => sum + statSync(path.join(directory, name)).size, 0);
}

async function until(condition) {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 60_000) throw new Error('the processes admitted too little in a minute');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
