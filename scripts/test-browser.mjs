/*
 * Tests the dashboard's page in a headless Chromium; see __test__/browser/. Where there is none, the tests are left out,
 * except in CI, where they fail. With `--pictures` it takes the pictures in docs/images anew instead.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { findChromium } from '../__test__/helpers/browser.mjs';
import { root } from './addon.mjs';
import { fail } from './requirements.mjs';

/** Ends a run that hangs. */
const TIMEOUT_MS = 600_000;

const file = process.argv.includes('--pictures') ? 'pictures.mjs' : 'dashboard.browser.mjs';
if (findChromium() === undefined) leaveOut();
else run();

function leaveOut() {
  const why = 'there is no Chromium in the PATH, nor at SLUICE_TEST_CHROMIUM';
  if (process.env.CI) fail(`the tests of the dashboard's page cannot run: ${why}.`);
  console.log(`sluice: the tests of the dashboard's page are left out: ${why}.`);
}

function run() {
  const args = ['--test', '--test-reporter=spec', `--test-timeout=${TIMEOUT_MS}`];
  const test = path.join('__test__', 'browser', file);
  const { status } = spawnSync(process.execPath, [...args, test], { cwd: root, stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
