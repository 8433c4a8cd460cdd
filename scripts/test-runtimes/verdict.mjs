// What the outcomes of the tests on a runtime mean, against what is known to fail there.
import { entriesOf, isKnown } from './known.mjs';

/**
 * `{ passed, known, unexpected, stale }`: a number, and lists of `{ file, test }`. A failure that no entry has is unexpected.
 * An entry is stale where its file was run and no failed test has the name: it passes now, or was renamed. Entries that are
 * `intermittent` are never stale.
 */
export function verdictOf(key, outcomes, entries = entriesOf(key)) {
  const failures = [...outcomes].flatMap(([file, { failed }]) => failed.map((test) => ({ file, test })));
  const isExpected = ({ file, test }) => isKnown(entries, file, test);
  return {
    passed: [...outcomes.values()].reduce((sum, { passed }) => sum + passed.length, 0),
    known: failures.filter(isExpected),
    unexpected: failures.filter((failure) => !isExpected(failure)),
    stale: expectationsOf(entries).filter(({ file, test }) => {
      return outcomes.has(file) && !outcomes.get(file).failed.some((name) => name.includes(test));
    }),
  };
}

/** What must fail: of each file, the parts of names of tests; '' for any test. */
function expectationsOf(entries) {
  return entries
    .filter(({ intermittent }) => !intermittent)
    .flatMap(({ tests }) => Object.entries(tests))
    .flatMap(([file, parts]) => (parts.length === 0 ? [''] : parts).map((test) => ({ file, test })));
}
