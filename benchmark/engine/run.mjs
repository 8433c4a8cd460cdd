// Builds the programs that measure, runs them in turn, and reads the rows that they print.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from '../../scripts/addon.mjs';
import { findRust } from '../../scripts/requirements.mjs';
import { load } from '../machine.mjs';
import { buildGo } from './go.mjs';

export const target = path.join(root, 'target', 'benchmark-engine');

const FULL = { rounds: 9, sliceMs: 20, threads: [1, 2, 4, 8, 16], many: 10_000_000 };
const QUICK = { rounds: 3, sliceMs: 6, threads: [1, 2, 4], many: 1_000_000 };
/** About twice what three tables of ten million clients need. */
const MEMORY_FOR_MANY = 4 * 2 ** 30;
const LONGEST_MS = 360_000;

/**
 * The results: `rows` as the programs print them, with a sample per round in each list. `skipped` says what could not be
 * built or run here. `only`: one part of the engine.
 */
export async function measureEngine({ quick = false, only } = {}) {
  const { settings, skipped } = settingsOf(quick);
  const results = { settings, skipped, rows: [], reading: undefined, go: undefined, peers: '' };
  const before = load();
  const engine = buildEngine();
  // Built before anything is timed, so that no compiler runs meanwhile.
  const go = only === undefined ? buildGo(target) : undefined;
  const ofEngine = [...argumentsOf(settings), settings.many, ...(only === undefined ? [] : [only])];
  results.rows.push(...rowsOf(engine, ofEngine, 'the engine', results));
  if (results.rows.length > 0 && go !== undefined)
    results.rows.push(...rowsOf(go, argumentsOf(settings), "Go's sync.Map", results));
  results.reading = take(results.rows, 'clock')?.reading;
  results.peers = peers();
  results.go = take(results.rows, 'go')?.version;
  return { ...results, noise: { before, after: load() } };
}

function settingsOf(quick) {
  const settings = quick ? QUICK : FULL;
  if (settings.many <= QUICK.many || os.freemem() > MEMORY_FOR_MANY) return { settings, skipped: [] };
  const sentence =
    '**Not measured: ten million clients**, for which less than 4 GiB of memory is free; one million instead.';
  return { settings: { ...settings, many: QUICK.many }, skipped: [warn(sentence)] };
}

function argumentsOf({ rounds, sliceMs, threads }) {
  return [rounds, sliceMs, threads.join(',')];
}

function buildEngine() {
  findRust();
  console.log('sluice: building benchmark/engine');
  const manifest = path.join('benchmark', 'engine', 'Cargo.toml');
  const args = ['build', '--release', '--quiet', '--manifest-path', manifest, '--target-dir', target];
  const { status } = spawnSync('cargo', args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  const name = process.platform === 'win32' ? 'sluice-benchmark.exe' : 'sluice-benchmark';
  return status === 0
    ? { program: path.join(target, 'release', name) }
    : { why: 'cargo cannot build it here' };
}

/** The rows that a program prints. If it cannot run, none, and `skipped` says why. */
function rowsOf({ program, why }, args, what, { skipped }) {
  if (program === undefined) {
    skipped.push(warn(`**Not measured: ${what}**, as ${why}.`));
    return [];
  }
  console.log(`sluice: measuring ${what}`);
  const { status, signal, error, stdout } = spawnSync(program, args.map(String), {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: LONGEST_MS,
  });
  if (status === 0)
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  const end = error?.code ?? signal ?? `status ${status}`;
  skipped.push(warn(`**Not measured: ${what}**, as its program ended with ${end}.`));
  return [];
}

/** The crates compared with, and their versions. */
function peers() {
  const lock = readFileSync(new URL('Cargo.lock', import.meta.url), 'utf8');
  return ['dashmap', 'governor', 'papaya', 'rapidhash']
    .map((name) => `${name} ${new RegExp(`name = "${name}"\nversion = "(.+)"`).exec(lock)[1]}`)
    .join(', ');
}

function take(rows, section) {
  const at = rows.findIndex((row) => row.section === section);
  return at < 0 ? undefined : rows.splice(at, 1)[0];
}

function warn(sentence) {
  console.error(`sluice: ${sentence}`);
  return sentence;
}
