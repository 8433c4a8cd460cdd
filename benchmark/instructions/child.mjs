// Runs under callgrind: between two marks, the same number of calls of one case.
import { loadRawCall } from '../raw-call.mjs';
import { CASES } from './cases.mjs';

/** So many that V8 has optimised the loop before the first mark. */
const WARM_UP = 20_000;

const { mark } = loadRawCall();
const calls = Number(process.argv[2]);

for (const open of Object.values(CASES)) {
  const call = open();
  // A loop of its own for each case, as in a shared one the call would be megamorphic.
  const loop = new Function(
    'call',
    `// ${call}\nreturn (count) => { for (let i = 0; i < count; i++) call(); };`,
  )(call);
  loop(WARM_UP);
  // Twice, as the first call of a long loop may be compiled anew.
  loop(calls);
  // Between the marks nothing is collected: what was allocated before, such as by the names of folders, decides when.
  globalThis.gc({ type: 'minor' });
  mark();
  loop(calls);
  mark();
}
