// Runs npm scripts in lanes: those of a lane one after another, the lanes side by side.
import { once } from 'node:events';
import os from 'node:os';
import { performance } from 'node:perf_hooks';
import { startNpm } from './npm.mjs';

/** Of scripts that only compute: they take the time that the tests of other lanes leave. */
const BACKGROUND = 10;

/**
 * Runs all lanes to their ends: `{ script, passed, seconds }` of each script, lane by lane. What a script prints is shown
 * when it ends, so that the output of two never mixes. A script whose lane waits for one that failed counts as failed.
 */
export async function runLanes(lanes) {
  const ended = new Map();
  const announce = {};
  for (const script of lanes.flatMap(({ scripts }) => Object.keys(scripts))) {
    ended.set(script, new Promise((resolve) => (announce[script] = resolve)));
  }
  await Promise.all(lanes.map((lane) => runLane(lane, ended, announce)));
  return Promise.all(ended.values());
}

async function runLane({ scripts, inBackground = false, after }, ended, announce) {
  const isReady = after === undefined || (await ended.get(after)).passed;
  for (const [script, what] of Object.entries(scripts)) {
    announce[script](isReady ? await run(script, what, inBackground) : notRun(script, what, after));
  }
}

async function run(script, what, inBackground) {
  console.log(`begins  ${script}`);
  const startedAt = performance.now();
  const child = startNpm(['run', '--silent', script]);
  if (inBackground) os.setPriority(child.pid, BACKGROUND);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const [code] = await once(child, 'close');
  const result = { script, passed: code === 0, seconds: (performance.now() - startedAt) / 1000 };
  console.log(`\n── ${script}: ${what}\n${output}${line(result)}\n`);
  return result;
}

function notRun(script, what, after) {
  console.log(`\n── ${script}: ${what}\nnot run, as ${after} failed`);
  return { script, passed: false, seconds: 0 };
}

/** A line of the summary. */
export function line({ script, passed, seconds }) {
  return `${passed ? 'passed' : 'FAILED'}  ${script.padEnd(16)}${seconds.toFixed(1).padStart(6)} s`;
}
