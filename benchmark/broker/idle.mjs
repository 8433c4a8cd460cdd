// CPU time of a process whose threads are connected but idle, and growth of the heap over many calls.
import { askOnce } from '../child.mjs';
import { table } from '../table.mjs';

const IDLE = { sluice: 'a broker and eight peers', MessagePort: 'eight threads that listen at their ports' };

/** Calls measured, after half as many that warm the process up. */
const CALLS = 1_000_000;

export async function measureIdle({ ms }) {
  const url = new URL('idle-child.mjs', import.meta.url);
  const results = [];
  for (const way of Object.keys(IDLE)) {
    results.push({ way, ms, ...(await askOnce(url, { way, ms }, { timeoutMs: 60_000 })) });
  }
  return results;
}

export function measureGrowth() {
  const url = new URL('growth-child.mjs', import.meta.url);
  return askOnce(url, { calls: CALLS }, { execArgv: ['--expose-gc'] });
}

export function idle(results, grown) {
  const rows = results.map(({ way, cpuMs, wakeUps }) => [
    IDLE[way],
    cpuMs.toFixed(1),
    wakeUps === undefined ? '–' : `${wakeUps}`,
  ]);
  const headings = ['process', 'CPU ms', 'wake-ups of its threads'];
  return [
    `### Idle threads\n\nDuring ${results[0].ms / 1000} s, after one idle second.\n\n${table(headings, rows)}`,
    `### A million calls\n\nBetween two collections, 100 in flight, after a warm-up.\n\n${table(
      ['', 'KiB more'],
      [
        ['heap of the caller', kibibytes(grown.caller)],
        ['heap of the thread that answers', kibibytes(grown.callee)],
        ['resident', kibibytes(grown.rss)],
      ],
    )}`,
  ];
}

export function idleTargets([{ cpuMs, ms }], { caller, callee }) {
  return [
    {
      what: 'a broker and eight idle peers, share of a core',
      atMost: 0.5,
      unit: '%',
      value: (100 * cpuMs) / ms,
    },
    {
      what: 'heaps of both threads after a million calls, growth for each',
      atMost: 1,
      unit: 'bytes',
      value: (caller + callee) / CALLS,
    },
  ];
}

function kibibytes(bytes) {
  return (bytes / 1024).toFixed(0);
}
