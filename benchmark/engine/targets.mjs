// Targets of the engine and what was measured, as ratios within a round.
import { clientsOf, only, times } from './rows.mjs';

const FEW = 10_000;
/** A quick run has fewer clients, so these targets are not measured. */
const MANY = 10_000_000;

/** Ratios of throughput, on one thread and two. */
const TARGETS = [
  { section: 'strings', keys: FEW, load: 'admitted', against: 'governor', atLeast: 2 },
  { section: 'strings', keys: FEW, load: 'refused', against: 'governor', atLeast: 2.5 },
  { section: 'integers', keys: MANY, load: 'admitted', against: 'governor, rapidhash', atLeast: 1.5 },
  { section: 'integers', keys: MANY, load: 'refused', against: 'governor, rapidhash', atLeast: 2 },
];

export function engineTargets({ rows }) {
  const by = (fields) => only(rows, fields);
  const besideOthers = TARGETS.flatMap(({ against, atLeast, ...fields }) =>
    [1, 2].map((threads) => ({
      what: `engine, ${clientsOf(fields.keys)}, ${fields.section}, ${fields.load}, threads: ${threads}; throughput beside ${against}`,
      value: quotient(
        by({ ...fields, threads, contender: 'sluice' }),
        by({ ...fields, threads, contender: against }),
      ),
      unit: '×',
      atLeast,
    })),
  );
  const together = (section, keys, load) => ({
    what: `engine, ${clientsOf(keys)}, ${section}, ${load}: two threads beside one`,
    value: quotient(
      by({ section, keys, load, threads: 2, contender: 'sluice' }),
      by({ section, keys, load, threads: 1, contender: 'sluice' }),
    ),
    unit: '×',
    atLeast: 1.8,
  });
  return [
    ...besideOthers,
    together('strings', FEW, 'refused'),
    together('integers', MANY, 'refused'),
    together('integers', MANY, 'admitted'),
  ];
}

function quotient(row, other) {
  return row && other && times(row, other);
}
