// What came of it, as Markdown that also reads well in a terminal.
import { BASELINE } from './cases.mjs';
import { lostToContention, lostToOthers, lostToPrivateState } from './losses.mjs';
import { cores } from './machine.mjs';
import { median, ratio, spread } from './statistics.mjs';

const LOADS = { uniform: '10 000 keys, uniform', hot: 'one hot key' };

export function costs(results) {
  return Object.entries(LOADS).map(([load, title]) => {
    const group = results.filter((result) => result.load === load);
    const baseline = group.find(({ name }) => name === BASELINE).samples;
    const rows = group.map(({ name, samples }) => [
      name,
      median(samples).toFixed(0),
      ratio(samples, baseline).toFixed(2),
      `±${(100 * spread(samples)).toFixed(0)} %`,
    ]);
    return `### One thread, ${title}\n\n${table(['call', 'ns', '× tryConsume', 'spread'], rows)}`;
  });
}

export function contention(results, threads) {
  const rows = results.map(({ name, load, alone, together }) => {
    const slower = ratio(together, alone);
    return [
      name,
      load,
      median(alone).toFixed(0),
      median(together).toFixed(0),
      `${(100 / slower).toFixed(0)} %`,
      (threads / slower).toFixed(2),
    ];
  });
  const headings = ['call', 'keys', 'ns alone', 'ns in each', 'throughput per thread', 'together × one'];
  const warning =
    threads > cores
      ? `\n\nThere are fewer cores (${cores}) than threads: this measures scheduling, not contention.`
      : '';
  return `### ${threads} threads at once, on the same keys\n\n${table(headings, rows)}${warning}`;
}

export function losses(results, threaded, threads) {
  const sentences = [
    ...lostToOthers(results),
    ...lostToContention(threaded, threads),
    ...lostToPrivateState(threaded),
  ];
  const list = sentences.map((sentence) => `- ${sentence}`).join('\n');
  return `## Where we lose\n\n${list || 'Nowhere by more than 5 % in this run.'}`;
}

/** The first column is text; the others are numbers. */
export function table(headings, rows) {
  const widths = headings.map((_, at) => Math.max(...[headings, ...rows].map((row) => row[at].length)));
  const line = (row) =>
    `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]))).join(' | ')} |`;
  const rule = `|${widths.map((width, at) => (at === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(headings), rule, ...rows.map(line)].join('\n');
}
