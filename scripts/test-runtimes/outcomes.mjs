// Runs a test file in a runtime and reads the outcome of each test from its report in the format of JUnit.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from '../addon.mjs';

/** Ends a file that hangs. */
const FILE_TIMEOUT_MS = 600_000;

/** Processes that run files. Each has a group of its own, so that what a file started ends with it. */
const running = new Set();
const hasGroups = process.platform !== 'win32';

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const child of running) kill(child);
    process.kill(process.pid, signal);
  });
}

/** Ends what is left of the group. */
function kill(child) {
  try {
    if (hasGroups) process.kill(-child.pid, 'SIGKILL');
    else child.kill('SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/**
 * Resolves with `{ passed, failed, skipped, output, seconds }`, names of tests in arrays. A file that ended without a report,
 * or failed without a failed test, has one failed test: what ended it, in parentheses.
 */
export async function outcomesOf(runtime, executable, file) {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'sluice-runtime-'));
  const report = path.join(scratch, 'report.xml');
  const startedAt = performance.now();
  try {
    const { output, ending } = await run(executable, runtime.argsFor(file, report));
    const outcomes = readReport(report, file);
    const isExplained = ending === undefined || (ending.startsWith('exited') && outcomes.failed.length > 0);
    if (!isExplained) outcomes.failed.push(`(the process ${ending})`);
    else if (countOf(outcomes) === 0) outcomes.failed.push('(the file reported no test)');
    return { ...outcomes, output, seconds: (performance.now() - startedAt) / 1000 };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Resolves with what the process printed and how it ended, which is undefined for the exit code 0. */
async function run(executable, args) {
  const child = spawn(executable, args, {
    cwd: root,
    detached: hasGroups,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: `${path.dirname(executable)}${path.delimiter}${process.env.PATH}` },
  });
  running.add(child);
  const chunks = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => chunks.push(chunk));
  let ending;
  const timer = setTimeout(() => {
    ending = `took longer than ${FILE_TIMEOUT_MS / 1000} s`;
    kill(child);
  }, FILE_TIMEOUT_MS);
  // Processes that a file left behind hold its output open.
  child.once('exit', () => kill(child));
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  running.delete(child);
  if (signal !== null) ending ??= `was ended by ${signal}`;
  else if (code !== 0) ending ??= `exited with ${code}`;
  return { output: Buffer.concat(chunks).toString(), ending };
}

function countOf({ passed, failed, skipped }) {
  return passed.length + failed.length + skipped.length;
}

function readReport(report, file) {
  try {
    return parseReport(readFileSync(report, 'utf8'), file);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return { passed: [], failed: [], skipped: [] };
  }
}

/** Values of attributes may have `>` and `/` in them. */
const TAG = /<(\/?)(testsuite|testcase|failure|error|skipped)\b((?:[^">/]|"[^"]*")*)(\/?)>/g;

/** The name of a test is preceded by those of its suites; a suite is no test. */
export function parseReport(xml, file) {
  const suites = [];
  const tests = [];
  for (const [, isEnd, tag, attributes, isEmpty] of xml.matchAll(TAG)) {
    if (tag === 'testsuite') {
      if (isEnd) suites.pop();
      else if (!isEmpty) suites.push(nameIn(attributes));
    } else if (tag === 'testcase' && !isEnd) {
      const names = suites.filter((name) => !isOrigin(name, file));
      tests.push({ name: [...names, nameIn(attributes)].join(' > '), outcome: 'passed' });
    } else if (!isEnd && tests.length > 0) {
      tests.at(-1).outcome = tag === 'skipped' ? 'skipped' : 'failed';
    }
  }
  const leaves = tests.filter(({ name }) => !tests.some((other) => other.name.startsWith(`${name} > `)));
  const named = (wanted) => leaves.filter(({ outcome }) => outcome === wanted).map(({ name }) => name);
  return { passed: named('passed'), failed: named('failed'), skipped: named('skipped') };
}

/** Bun and Deno make a suite of the place where a test is defined. */
function isOrigin(name, file) {
  return name.endsWith(file) || /^(ext|node|file):/.test(name);
}

function nameIn(attributes) {
  const [, name] = /\bname="([^"]*)"/.exec(attributes);
  const entities = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return name
    .replaceAll(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replaceAll(/&(lt|gt|quot|apos|amp);/g, (_, entity) => entities[entity]);
}
