/*
 *   npm run bench:engine                 three to four minutes
 *     --quick                            about half a minute, noisier
 *     --json                             prints the rows as JSON
 *     --only=PART                        prints the rows of one part: contention, strings, integers, registry, security
 *     --plots                            also draws docs/benchmarks/engine-*.svg
 */
import { parseArgs } from 'node:util';
import { engineCharts, engineLosses, engineSections, engineTargets, measureEngine } from '../engine.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    plots: { type: 'boolean', default: false },
  },
});

const results = await measureEngine(options);
if (results.rows.length === 0) process.exit(1);
if (options.json || options.only) {
  console.log(JSON.stringify(results));
} else {
  const losses = engineLosses(results).map((sentence) => `- ${sentence}`);
  const targets = engineTargets(results).map(
    ({ what, value, atLeast, unit }) =>
      `- ${what}: ${value?.toFixed(2) ?? 'not measured'}, to be at least ${atLeast} ${unit}`,
  );
  const sections = [...engineSections(results), ...results.skipped];
  console.log(
    `\n${[...sections, ['## Targets', ...targets].join('\n'), ['## Where we lose', ...losses].join('\n')].join('\n\n')}`,
  );
}
if (options.plots) {
  const plots = await import('../plots.mjs');
  for (const { file, kind, ...chart } of engineCharts(results))
    plots.writePlot(file, plots[kind](chart), chart.title);
}
