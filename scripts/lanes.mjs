// Runs npm scripts in lanes: those of a lane one after another, the lanes side by side.
import { once } from 'node:events';
import os from 'node:os';
import { performance } from 'node:perf_hooks';
import { excerptOf } from './failures.mjs';
import { startNpm } from './npm.mjs';

/** Of scripts that only compute: they take the time that those of other lanes leave. */
const BACKGROUND = 10;

/** Cuts off the parts that run. */
const running = new Set();

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.once(signal, () => {
    for (const cutOff of running) cutOff();
    process.exit(code);
  });
}

/**
 * Runs all lanes to their ends: `{ script, passed, seconds }` of each part, lane by lane, and of those that failed the lines
 * that say why, as `failure`. A part is `{ script, what }`, with `args` of its script; it begins when all parts that `after`
 * names have passed, and counts as failed if one of them has not. What a part prints is shown when it ends, so that the output
 * of two never mixes.
 */
export async function runLanes(lanes) {
  const ended = new Map(lanes.flat().map(({ script }) => [script, pending()]));
  await Promise.all(lanes.map((parts) => runLane(parts, ended)));
  return Promise.all([...ended.values()].map(({ result }) => result));
}

/** The result of a part that has not ended. */
function pending() {
  let resolve;
  const result = new Promise((end) => {
    resolve = end;
  });
  return { result, resolve };
}

async function runLane(parts, ended) {
  for (const part of parts) {
    const before = await Promise.all((part.after ?? []).map((script) => ended.get(script).result));
    const failed = before.find(({ passed }) => !passed);
    ended.get(part.script).resolve(failed ? leaveOut(part, failed) : await run(part));
  }
}

async function run({ script, what, args = [], inBackground = false }) {
  console.log(`begins  ${script}`);
  const startedAt = performance.now();
  const child = startNpm(['run', '--silent', script, '--', ...args]);
  // A process that yields more already may not be asked to yield less.
  if (inBackground && os.getPriority() < BACKGROUND) os.setPriority(child.pid, BACKGROUND);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const cutOff = () => {
    console.log(`\n── ${script}: cut off\n${output}`);
    child.kill();
  };
  running.add(cutOff);
  const [code] = await once(child, 'close');
  running.delete(cutOff);
  const passed = code === 0;
  const seconds = (performance.now() - startedAt) / 1000;
  const result = { script, passed, seconds, failure: passed ? undefined : excerptOf(output) };
  console.log(`\n── ${script}: ${what}\n${output}${line(result)}\n`);
  return result;
}

function leaveOut({ script, what }, { script: failed }) {
  const failure = `not run, as ${failed} failed`;
  console.log(`\n── ${script}: ${what}\n${failure}`);
  return { script, passed: false, seconds: 0, failure };
}

/** A line of the summary. */
export function line({ script, passed, seconds }) {
  return `${passed ? 'passed' : 'FAILED'}  ${script.padEnd(16)}${seconds.toFixed(1).padStart(6)} s`;
}
