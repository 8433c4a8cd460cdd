// HitCounter: what its calls take and return.
import { type CountedHits, type DumpedHits, type HitCount, HitCounter, type HitRule } from 'sluice';
import { type Equal, expect } from './equal.mjs';

const hits = new HitCounter('hits', { maxKeys: 1_000, overflow: 'deny', keepKeys: true });
const rule: HitRule = { above: 5, windowMs: Number.POSITIVE_INFINITY, once: true };

const counted = hits.add('key', 1, 60_000, rule, Date.now());
expect<Equal<typeof counted, CountedHits>>();
const found = hits.get('key');
expect<Equal<typeof found, HitCount | null>>();
const dumped = hits.dump();
expect<Equal<typeof dumped, DumpedHits[]>>();
new HitCounter('other').restore(dumped);
hits.takeBack('key');
hits.set('key', 3, 1_000);

// @ts-expect-error: each call names its window
hits.add('key');
// @ts-expect-error: windows are numbers of milliseconds
hits.add('key', 1, '1m');
// @ts-expect-error: a rule has a limit
hits.add('key', 1, 1_000, { windowMs: 5 });
