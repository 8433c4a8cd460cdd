// What an interrupted run has measured, so that it can go on: `npm run bench -- --resume`.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../target/benchmark/', import.meta.url));
const FILE = `${FOLDER}run.json`;

export function keep(quick, parts) {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(FILE, JSON.stringify({ code: code(quick), parts }));
}

/** The parts by name; none where another commit, other changes or another Node.js measured them. */
export function kept(quick) {
  let run;
  try {
    run = JSON.parse(readFileSync(FILE, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw error;
  }
  if (run.code !== code(quick)) return {};
  console.log(`sluice: measured before: ${Object.keys(run.parts).join(', ')}`);
  return run.parts;
}

/** What was measured: the code of the addon and of its JavaScript, the rounds, and Node.js. */
function code(quick) {
  const git = (...args) => execFileSync('git', args, { encoding: 'utf8', cwd: FOLDER });
  const trees = ['src', 'crates', 'lib', 'Cargo.lock'].map((path) => git('rev-parse', `HEAD:${path}`).trim());
  const changes = git('diff', 'HEAD', '--', ':/src', ':/crates', ':/lib');
  return [quick, process.version, ...trees, changes].join('\n');
}
