// Targets of the engine and what was measured, as ratios within a round.
import { clientsOf, only, times, where } from './rows.mjs';

const FEW = 10_000;
/** A quick run has fewer clients, so these targets are not measured. */
const MANY = 10_000_000;

export function engineTargets({ rows }) {
  const ofAll = where(rows, { section: 'integers' });
  const by = (contender, keys, load, threads) => only(ofAll, { contender, keys, load, threads });
  const against = (peer, keys, atLeast) =>
    ['admitted', 'refused'].flatMap((load) =>
      [1, 2].map((threads) => ({
        what: `engine, ${clientsOf(keys)}, ${load}, threads: ${threads}; throughput beside ${peer}`,
        value: quotient(by('sluice', keys, load, threads), by(peer, keys, load, threads)),
        unit: '×',
        atLeast,
      })),
    );
  const together = (keys, load) => ({
    what: `engine, ${clientsOf(keys)}, ${load}: two threads beside one`,
    value: quotient(by('sluice', keys, load, 2), by('sluice', keys, load, 1)),
    unit: '×',
    atLeast: 1.8,
  });
  return [
    ...against('governor', FEW, 3),
    ...against('governor, rapidhash', MANY, 1.5),
    together(FEW, 'refused'),
    together(MANY, 'refused'),
    together(MANY, 'admitted'),
  ];
}

function quotient(row, other) {
  return row && other && times(row, other);
}
