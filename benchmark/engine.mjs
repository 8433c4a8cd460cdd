/*
 * The engine without Node.js, compared with other maps and limiters: a part of `npm run bench`, or by itself
 *
 *   npm run bench:engine                     three to four minutes
 *   npm run bench:engine -- --quick          about half a minute, noisier
 *
 * `measureEngine` returns the results as data; everything else here turns them into text and charts.
 */
import { engineCharts } from './engine/charts.mjs';
import { engineLosses } from './engine/losses.mjs';
import { engineSections } from './engine/report.mjs';
import { measureEngine } from './engine/run.mjs';
import { engineTargets } from './engine/targets.mjs';

export { engineCharts, engineLosses, engineSections, engineTargets, measureEngine };

export const title = 'The engine alone';

/** Runs this part: see `parts.mjs` for what it returns. */
export async function run({ quick }) {
  const results = await measureEngine({ quick });
  const { skipped } = results;
  if (results.rows.length === 0) return { sections: [], skipped, losses: [], targets: [], charts: [] };
  return {
    sections: engineSections(results),
    skipped,
    losses: engineLosses(results),
    targets: engineTargets(results),
    charts: engineCharts(results),
  };
}
