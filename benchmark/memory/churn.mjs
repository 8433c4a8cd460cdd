// How many new clients evict a live one when `maxKeys` clients are live.
import { askOnce } from '../child.mjs';
import { table } from '../table.mjs';

export async function measureChurn(plan) {
  const counts = await askOnce(new URL('churn-child.mjs', import.meta.url), plan);
  return { ...counts, percent: (100 * counts.evicted) / counts.inserts };
}

export function churn({ maxKeys, inserts, whileFilling, evicted, untracked, percent }) {
  const headings = ['live keys = `maxKeys`', 'new keys', 'evicted a live one', 'share', 'not kept'];
  const row = [maxKeys, inserts, evicted].map(String);
  const filling =
    `Under a manual clock: each key arrives once and is live for 1 s, and in each ms as many arrive as expire. While ` +
    `the empty table filled, ${whileFilling} live keys were evicted.`;
  return `### As many live keys as maxKeys\n\n${filling}\n\n${table(headings, [[...row, `${percent.toFixed(3)} %`, `${untracked}`]])}`;
}

export function churnTarget({ percent }) {
  return {
    what: 'new keys that evict a live one, `maxKeys` live',
    atMost: 0.05,
    unit: '%',
    value: percent,
  };
}
