// Bytes per client: the growth of a separate process for each limiter and number of clients, beyond that of one which
// keeps none of them.
import { askOnce } from '../child.mjs';
import { median } from '../statistics.mjs';
import { table } from '../table.mjs';
import { CONTENDERS, NOTHING } from './contenders.mjs';

/** A heap limit above the limit of the child, so that the latter applies. */
const execArgv = ['--expose-gc', '--max-old-space-size=16000'];

/** Processes for the fewest clients, where what V8 keeps of its heap differs by about a byte a client. */
const PROCESSES = 5;

/**
 * The bytes by which a process grows that keeps nothing, and those per client of each limiter beyond. `sizes` in ascending
 * order; after one that fails, the larger ones are skipped.
 */
export async function measureGrowth(sizes, mostMs) {
  const nothing = await grow(NOTHING, sizes[0], PROCESSES, mostMs[0]);
  if (nothing.why !== undefined)
    throw new Error(`a process that keeps no client was not measured: ${nothing.why}`);
  const results = [];
  for (const name of Object.keys(CONTENDERS)) {
    for (const [at, clients] of sizes.entries()) {
      const { bytes, why } = await grow(name, clients, at === 0 ? PROCESSES : 1, mostMs[at]);
      results.push({ name, clients, why, bytes: bytes && (bytes - nothing.bytes) / clients });
      if (why !== undefined) break;
    }
  }
  return { ofNothing: nothing.bytes, results };
}

/** The median growth of so many processes. */
async function grow(name, clients, processes, timeoutMs) {
  const url = new URL('growth-child.mjs', import.meta.url);
  const grown = [];
  try {
    while (grown.length < processes) {
      grown.push(await askOnce(url, { name, clients }, { execArgv, timeoutMs }));
    }
    return { bytes: median(grown) };
  } catch (error) {
    return { why: error.message };
  }
}

export function growth({ ofNothing, results }, sizes) {
  const rows = Object.keys(CONTENDERS).map((name) => [
    name,
    ...sizes.map((clients) => bytesOf(results, name, clients)?.toFixed(0) ?? '–'),
  ]);
  const headings = ['limiter', ...sizes.map((clients) => `bytes, ${clients / 1e6} million`)];
  const how = `Beyond the ${(ofNothing / 1e6).toFixed(1)} MB by which a process grows that keeps no client.`;
  return `### Memory per client\n\n${how}\n\n${table(headings, rows)}`;
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
