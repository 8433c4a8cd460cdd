// Each case runs a job that does nothing under a limit of concurrency.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { Semaphore } = require('../..');

export const SLUICE = 'sluice semaphore.run(fn)';

/** Jobs that are started at once under a limit of one. */
export const IN_LINE = 3_000;

export const LOADS = { once: 'at once', line: `${IN_LINE} in line` };

let opened = 0;

/** What runs a job under a limit of `permits`, by name. */
const RUNNERS = {
  [SLUICE]: (permits) => {
    const semaphore = new Semaphore(`benchmark of semaphores ${++opened}`, { permits });
    return (job) => semaphore.run(job);
  },
  'p-limit limit(fn)': async (permits) => (await import('p-limit')).default(permits),
  'async-mutex semaphore.runExclusive(fn)': async (permits) => {
    const { Semaphore: Other } = await import('async-mutex');
    const semaphore = new Other(permits);
    return (job) => semaphore.runExclusive(job);
  },
};

export async function openCases() {
  const cases = [];
  for (const [name, open] of Object.entries(RUNNERS)) {
    cases.push({ name, once: await open(8), line: await open(1) });
  }
  return cases;
}

/**
 * A loop of its own for each case: V8 shares the feedback of functions with the same source. `batch(count)` runs so many jobs,
 * one after the other or all in one line, and returns how many ran.
 */
export function batchOf({ name, ...runs }, load) {
  const all = 'const all = []; for (let i = 0; i < count; i++) all.push(run(job)); await Promise.all(all);';
  const each = 'for (let i = 0; i < count; i++) await run(job);';
  const source = `// ${name}, ${load}
  let done = 0;
  const job = async () => { done++; };
  return async function batch(count) {
    done = 0;
    ${load === 'line' ? all : each}
    return done;
  }`;
  return new Function('run', source)(runs[load]);
}
