// The effect of a flood of new keys on memory, on the cost of calls, and on regular clients.
import { askOnce } from '../child.mjs';
import { median, NOTICEABLE } from '../statistics.mjs';
import { table } from '../table.mjs';

const MEGABYTE = 2 ** 20;
/** Number of points of the plot. */
const POINTS = 20;

export async function measureFlood({ keys, mostMs }) {
  const measured = await askOnce(new URL('flood-child.mjs', import.meta.url), { keys, mostMs });
  const { quiet, flooded, wave, maxKeys } = measured;
  const came = flooded.wave.length * wave;
  // From this wave on the table is full.
  const fullAt = Math.ceil((1.5 * maxKeys) / wave);
  return {
    ...measured,
    wanted: keys,
    came,
    madeIn: median(quiet.wave),
    newcomer: median(flooded.wave.slice(fullAt)) - median(quiet.wave),
    knownQuiet: median(quiet.known),
    // After every other wave.
    knownFlooded: median(flooded.known.slice(Math.ceil(fullAt / 2))),
    floorQuiet: medianOfAny(quiet.floor),
    floorFlooded: medianOfAny(flooded.floor.slice(Math.ceil(fullAt / 2))),
    rss: { before: flooded.rss[0], full: flooded.rss[fullAt], peak: Math.max(...flooded.rss) },
  };
}

/** `undefined` where nothing was measured. */
function medianOfAny(values) {
  return values.length > 0 ? median(values) : undefined;
}

export function flood(measured) {
  const { maxKeys, wellKnown, came, madeIn, newcomer, knownQuiet, knownFlooded, rss, flooded } = measured;
  const { floorQuiet, floorFlooded } = measured;
  const rows = [
    ['keys that arrived once', millions(came)],
    ['`maxKeys`', millions(maxKeys)],
    ['resident before, MB', megabytes(rss.before)],
    [`resident after ${millions(1.5 * maxKeys)} keys, MB`, megabytes(rss.full)],
    ['resident at most, MB', megabytes(rss.peak)],
    ['a call of the flood, ns', newcomer.toFixed(0)],
    ['(making its key, subtracted above, ns)', madeIn.toFixed(0)],
    ['a call of a known key without the flood, ns', knownQuiet.toFixed(0)],
    ['the same call in the flood, ns', knownFlooded.toFixed(0)],
    ['floor: a raw call of a known key, without the flood, ns', floorQuiet?.toFixed(0) ?? 'not measured'],
    ['the same raw call in the flood, ns', floorFlooded?.toFixed(0) ?? 'not measured'],
    ['live keys evicted (`stats().liveEvictions`)', `${flooded.liveEvictions}`],
    [`known keys evicted, of ${wellKnown}`, `${flooded.forgotten}`],
  ];
  return `### A flood of new keys\n\n${HOW}\n\n${table(['', 'measured'], rows)}${cutShort(measured)}`;
}

const HOW = `A limit of 1000 in 30 days, so a key that arrived once is live to the end and the table is full of live keys. All known keys
call once after every other 500 000 new ones, and the floor after the rest: a raw call that reads the key and the clock
and exchanges a word of memory of its own. A known key was evicted if it has more left than its calls leave.`;

export function floodFigure({ came, knownQuiet, knownFlooded, rss, flooded, wellKnown }) {
  const growth = ((rss.peak - rss.full) / MEGABYTE).toFixed(0);
  return {
    question: 'What does a flood of new keys do?',
    answer: `${millions(came)} keys evict ${flooded.forgotten} of ${wellKnown} regular clients; memory grows by ${growth} MB once the table is full`,
    beside: `a call of a regular client: ${(knownFlooded / knownQuiet).toFixed(2)} × its cost without the flood`,
  };
}

export function floodTarget({ knownQuiet, knownFlooded }) {
  return {
    what: 'a call of a well-known client, in a flood / quiet',
    atMost: 1.5,
    unit: '×',
    value: knownFlooded / knownQuiet,
  };
}

export function floodLosses({ knownQuiet, knownFlooded, rss, flooded, wellKnown }) {
  const slower = knownFlooded / knownQuiet;
  const grown = rss.peak / rss.full;
  return [
    slower > NOTICEABLE &&
      `In a flood, a call of a known key costs ${slower.toFixed(2)} × what it costs without.`,
    grown > NOTICEABLE && `In a flood, memory grows to ${grown.toFixed(2)} × what a full table needs.`,
    flooded.forgotten > 0 && `A flood evicts ${flooded.forgotten} of ${wellKnown} known keys.`,
  ].filter(Boolean);
}

export function floodChart({ wave, flooded }) {
  const every = Math.ceil(flooded.rss.length / POINTS);
  const points = flooded.rss.map((bytes, at) => ({ bytes, at })).filter(({ at }) => at % every === 0);
  return {
    file: 'flood',
    kind: 'lines',
    title: 'Memory of the process in a flood of new keys, maxKeys 1 million',
    unit: 'MB resident',
    x: { name: 'million keys that came', values: points.map(({ at }) => (at * wave) / 1e6) },
    series: [{ name: 'sluice', highlighted: true, values: points.map(({ bytes }) => bytes / MEGABYTE) }],
  };
}

function cutShort({ came, wanted }) {
  if (came >= wanted) return '';
  return `\n\nThe flood was ended when its time was up: ${millions(wanted)} keys were to come.`;
}

function millions(count) {
  return `${count / 1e6} million`;
}

function megabytes(bytes) {
  return (bytes / MEGABYTE).toFixed(0);
}
