/*
 * The engine without Node.js, beside other maps and limiters: a part of `npm run bench`, and alone
 *
 *   npm run bench:engine                     three minutes or four
 *   npm run bench:engine -- --quick          about half a minute, noisier
 *
 * The results are data (`measureEngine`); everything else here makes text and charts of them.
 */
import { engineCharts } from './engine/charts.mjs';
import { engineLosses } from './engine/losses.mjs';
import { engineSections } from './engine/report.mjs';
import { measureEngine } from './engine/run.mjs';
import { engineTargets } from './engine/targets.mjs';

export { engineCharts, engineLosses, engineSections, engineTargets, measureEngine };

export const title = 'The engine alone';

/** As every part of a run: what is to be said, skipped, aimed at and drawn. */
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
