// promtool of the package `prometheus`: without it the tests that need it are skipped, unless SLUICE_REQUIRE_PROMTOOL is set.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const PROGRAM = process.env.SLUICE_TEST_PROMTOOL ?? 'promtool';
const isThere = spawnSync(PROGRAM, ['--version']).status === 0;

/** For the option `skip` of a test. */
export const skip =
  isThere || process.env.SLUICE_REQUIRE_PROMTOOL === '1'
    ? false
    : 'promtool is not installed (package prometheus)';

/** Runs promtool; `{ status, output }`. */
export function promtool(args, { input } = {}) {
  const { status, stdout, stderr, error } = spawnSync(PROGRAM, args, { input, encoding: 'utf8' });
  if (error !== undefined) throw error;
  return { status, output: stdout + stderr };
}

/** Whether promtool can parse all of the queries: what it says of a file of rules that are made of them. */
export function checkQueries(queries) {
  const rules = queries.map((expr, at) => ({ record: `query:${at}`, expr }));
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-queries-'));
  const file = path.join(folder, 'rules.yml');
  try {
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'queries', rules }] }));
    return promtool(['check', 'rules', file]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
