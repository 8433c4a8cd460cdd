// Bytes per client: the growth of a separate process for each limiter and number of clients.
import { askOnce } from '../child.mjs';
import { table } from '../table.mjs';
import { CONTENDERS } from './contenders.mjs';

/** A heap limit above the limit of the child, so that the latter applies. */
const execArgv = ['--expose-gc', '--max-old-space-size=16000'];

/** `sizes` in ascending order; after one that fails, the larger ones are skipped. */
export async function measureGrowth(sizes, mostMs) {
  const results = [];
  for (const name of Object.keys(CONTENDERS)) {
    for (const [at, clients] of sizes.entries()) {
      const outcome = await grow(name, clients, mostMs[at]);
      results.push({ name, clients, ...outcome });
      if (outcome.why !== undefined) break;
    }
  }
  return results;
}

async function grow(name, clients, timeoutMs) {
  const url = new URL('growth-child.mjs', import.meta.url);
  try {
    return { bytes: await askOnce(url, { name, clients }, { execArgv, timeoutMs }) };
  } catch (error) {
    return { why: error.message };
  }
}

export function growth(results, sizes) {
  const rows = Object.keys(CONTENDERS).map((name) => [
    name,
    ...sizes.map((clients) => bytesOf(results, name, clients)?.toFixed(0) ?? '–'),
  ]);
  const headings = ['limiter', ...sizes.map((clients) => `bytes, ${clients / 1e6} million`)];
  return `### Memory per client\n\n${table(headings, rows)}`;
}

export function growthFigure(results, clients) {
  const others = Object.keys(CONTENDERS).filter((name) => name !== 'sluice');
  const beside = others
    .map((name) => ({ name, bytes: bytesOf(results, name, clients) }))
    .filter(({ bytes }) => bytes !== undefined)
    .map(({ name, bytes }) => `${name}: ${bytes.toFixed(0)}`);
  return {
    question: 'How much memory does a client take?',
    answer: `${bytesOf(results, 'sluice', clients)?.toFixed(0)} bytes, with ${clients / 1e6} million clients`,
    beside: beside.join('; '),
  };
}

export function bytesOf(results, name, clients) {
  return results.find((result) => result.name === name && result.clients === clients)?.bytes;
}

export function notMeasured(results) {
  return results
    .filter(({ why }) => why !== undefined)
    .map(
      ({ name, clients, why }) =>
        `**Not measured: ${name} with ${clients / 1e6} million clients or more**: ${why}.`,
    );
}
