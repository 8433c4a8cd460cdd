// Runs a test file in a runtime and reads the outcome of each test from its report in the format of JUnit.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from '../addon.mjs';

/** Ends a file that hangs. */
const FILE_TIMEOUT_MS = 180_000;

/**
 * `{ passed, failed, skipped }`, names of tests in arrays. A file that ended without a report, or failed without a failed
 * test, has one failed test: what ended it, in parentheses.
 */
export function outcomesOf(runtime, executable, file) {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'sluice-runtime-'));
  const report = path.join(scratch, 'report.xml');
  try {
    const { status, signal, error, stdout, stderr } = spawnSync(executable, runtime.argsFor(file, report), {
      cwd: root,
      encoding: 'utf8',
      timeout: FILE_TIMEOUT_MS,
      killSignal: 'SIGKILL',
      maxBuffer: 2 ** 26,
      env: { ...process.env, PATH: `${path.dirname(executable)}${path.delimiter}${process.env.PATH}` },
    });
    const outcomes = readReport(report, file);
    if (error?.code === 'ETIMEDOUT') outcomes.failed.push('(the file took too long)');
    else if (signal !== null) outcomes.failed.push(`(the process was ended by ${signal})`);
    else if (status !== 0 && outcomes.failed.length === 0)
      outcomes.failed.push(`(the process exited with ${status})`);
    return { ...outcomes, output: `${stdout}${stderr}` };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function readReport(report, file) {
  try {
    return parseReport(readFileSync(report, 'utf8'), file);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return { passed: [], failed: [], skipped: [] };
  }
}

const TAG = /<(\/?)(testsuite|testcase|failure|error|skipped)\b([^>]*?)(\/?)>/g;

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
