/*
 * Counts the instructions of six calls with callgrind and compares them with the committed counts. Times vary from run to
 * run; the same build makes the same instructions to about 0.1 %.
 *
 *   npm run bench:instructions               fails if a call takes over 5 % more instructions than committed
 *   npm run bench:instructions -- --write    replaces the committed counts, after a change that lowers them
 *
 * A count is that of a whole call from JavaScript, with its round of a loop, without garbage collections. Needs valgrind, and
 * the Node.js, processor and release build that the counts were taken with.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildRawCall } from '../raw-call.mjs';
import { table } from '../table.mjs';
import { CASES } from './cases.mjs';

const CALLS = 10_000;
/** A rise beyond this share fails. */
const TOLERATED = 0.05;

const file = new URL('counts.json', import.meta.url);
const { values: options } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
const platform = `Node.js ${process.versions.node.split('.')[0]}, ${process.platform}-${process.arch}`;

if (options.write) write(count());
else check();

function check() {
  const { platform: of, counts: committed } = JSON.parse(readFileSync(file, 'utf8'));
  if (of !== platform) {
    console.log(`sluice: instructions not counted: the committed counts are of ${of}, this is ${platform}`);
    return;
  }
  const counted = count();
  const rows = Object.entries(counted).map(([name, each]) => ({ name, each, before: committed[name] }));
  const line = ({ name, each, before }) => [
    name,
    `${before}`,
    `${each}`,
    `${(100 * (each / before - 1)).toFixed(1)} %`,
  ];
  console.log(`\n${table(['call', 'committed', 'counted', 'change'], rows.map(line))}\n`);
  const risen = rows.filter(({ each, before }) => !(each <= before * (1 + TOLERATED)));
  for (const { name } of risen) {
    console.error(`sluice: ${name} takes over ${100 * TOLERATED} % more instructions than committed`);
  }
  if (risen.length > 0) process.exitCode = 1;
  else console.log(`All instruction counts are at most ${100 * TOLERATED} % above the committed ones.`);
}

function write(counts) {
  writeFileSync(file, `${JSON.stringify({ platform, counts }, null, 2)}\n`);
  console.log(`sluice: wrote ${fileURLToPath(file)}`);
}

/** Instructions of a call, by name. */
function count() {
  buildRawCall();
  console.log(`sluice: counting the instructions of ${Object.keys(CASES).length} calls, about half a minute`);
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-instructions-'));
  try {
    const out = path.join(folder, 'counts');
    runUnderCallgrind(out);
    // The program marks the start and the end of each case, and each mark ends a part: what is between them has an even
    // number.
    return Object.fromEntries(
      Object.keys(CASES).map((name, at) => [name, Math.round(totalOf(`${out}.${2 * at + 2}`) / CALLS)]),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function runUnderCallgrind(out) {
  const child = fileURLToPath(new URL('child.mjs', import.meta.url));
  const { status, error, stderr } = spawnSync(
    'valgrind',
    [
      '--tool=callgrind',
      // V8 replaces code that it has made.
      '--smc-check=all-non-file',
      '--dump-before=sluice_benchmark_mark',
      `--callgrind-out-file=${out}`,
      process.execPath,
      // Compilation at the same calls in each run.
      '--predictable',
      '--single-threaded',
      '--expose-gc',
      // Megabytes: room for what all calls of a case allocate.
      '--min-semi-space-size=16',
      '--max-semi-space-size=16',
      child,
      String(CALLS),
    ],
    // How V8 compiles depends on the size of the environment, which npm fills.
    { encoding: 'utf8', timeout: 600_000, env: { PATH: process.env.PATH } },
  );
  if (error?.code === 'ENOENT') fail('valgrind is missing: install it with your package manager.');
  if (status !== 0) fail(`callgrind ended with ${error?.code ?? `status ${status}`}:\n${stderr}`);
}

function totalOf(part) {
  return Number(/^totals: (\d+)/m.exec(readFileSync(part, 'utf8'))[1]);
}

function fail(sentence) {
  console.error(`sluice: ${sentence}`);
  process.exit(1);
}
