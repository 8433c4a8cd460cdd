// Writes docs/benchmarks.md and its plots from the results of a run.
import { readFileSync, writeFileSync } from 'node:fs';
import { targetsSection } from './targets.mjs';

/** The results of a run as Markdown; `plotsOf` adds plots for the page. */
export function results(parts, plotsOf = () => []) {
  const skipped = parts.flatMap((part) => part.skipped);
  return [
    targetsSection(parts.flatMap((part) => part.targets)),
    ...parts.map((part) => partSection(part, plotsOf(part))),
    ...skipped,
    lossesSection(parts),
  ].join('\n\n');
}

/** Loads `plots.mjs` only here, as nothing else needs its package. */
export async function writePage({ machine, parts, quick }) {
  const plots = await import('./plots.mjs');
  const draw = ({ file, kind, ...chart }) => plots.writePlot(file, plots[kind](chart), chart.title);
  const facts = Object.entries(machine).map(([what, value]) => `| ${what} | ${value} |`);
  const guide = readFileSync(new URL('guide.md', import.meta.url), 'utf8');
  const page = guide
    .replace('{{command}}', `npm run bench -- ${quick ? '--quick ' : ''}--write`)
    .replace('{{machine}}', () => ['| | |', '|---|---|', ...facts].join('\n'))
    .replace('{{results}}', () => results(parts, (part) => part.charts.map(draw)));
  writeFileSync(new URL('../docs/benchmarks.md', import.meta.url), page);
  console.log('\nsluice: wrote docs/benchmarks.md and its plots');
}

function partSection({ title, sections, noise }, plots) {
  const load = `Load average ${noise.before.toFixed(1)} before this part, ${noise.after.toFixed(1)} after; the run itself is in it.`;
  return [`## ${title}`, load, ...plots, ...sections].join('\n\n');
}

function lossesSection(parts) {
  const list = parts.flatMap((part) => part.losses).map((sentence) => `- ${sentence}`);
  return `## Where we lose\n\n${list.join('\n') || 'Nowhere by more than 5 % in this run.'}`;
}
