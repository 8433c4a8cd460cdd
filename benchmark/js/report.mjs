// The results of calls, as Markdown.
import { cores } from '../machine.mjs';
import { median, ratio, spread } from '../statistics.mjs';
import { table } from '../table.mjs';
import { BASELINE } from './cases.mjs';
import { COUNTS } from './threads.mjs';

const TITLES = { uniform: '10 000 keys, uniform', hot: 'one hot key' };

export function costs(results) {
  return Object.entries(TITLES).map(([load, title]) => {
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

export function contention(results) {
  const [alone, ...several] = COUNTS;
  const headings = ['call', 'keys', ...COUNTS.map((count) => `ns, ${threads(count)}`)];
  headings.push(...several.map((count) => `${count} together × one`));
  const rows = results.map(({ name, load, byCount }) => {
    const [single, ...others] = byCount;
    const gains = others.map((samples, at) => several[at] / (alone * ratio(samples, single)));
    const ns = byCount.map((samples) => median(samples).toFixed(0));
    return [name, load, ...ns, ...gains.map((gain) => gain.toFixed(2))];
  });
  return `### One, two and four threads at once, on the same keys\n\n${table(headings, rows)}${scheduling()}`;
}

function scheduling() {
  const more = COUNTS.filter((count) => count > cores);
  if (more.length === 0) return '';
  const has = `${cores} ${cores === 1 ? 'core' : 'cores'}`;
  return `\n\nThis machine has ${has}: the columns of ${more.join(' and ')} threads show scheduling, not contention.`;
}

function threads(count) {
  return count === 1 ? 'one thread' : `each of ${count}`;
}
