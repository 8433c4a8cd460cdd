// LoadShedder: what its calls take and return, and `overload` and `priority` of guards.
import {
  createGuard,
  type GuardStats,
  LoadShedder,
  type LoadShedderCpu,
  type LoadShedderStats,
  type Priority,
} from 'sluice';
import { type Equal, expect } from './equal.mjs';

const shedder = new LoadShedder('lines', { targetDelay: '20ms', onMismatch: 'reconfigure' });
new LoadShedder('lines');
const admitted = shedder.admit('high');
const stats = shedder.stats();
shedder.reconfigure({ targetDelay: 30 });
// @ts-expect-error: no priority.
shedder.admit('urgent');
// @ts-expect-error: no option.
new LoadShedder('lines', { delay: 20 });

createGuard('site', { overload: true, priority: 'low' });
createGuard('site', {
  overload: { targetDelay: '20ms' },
  priority: (req) => (req.url === '/' ? 'high' : 'exempt'),
});
// @ts-expect-error: a promise is no priority.
createGuard('site', { priority: async () => 'high' });

expect<Equal<typeof admitted, boolean>>();
expect<Equal<typeof stats, LoadShedderStats>>();
expect<Equal<typeof stats.cpu, LoadShedderCpu | null>>();
expect<Equal<keyof typeof stats.admitted, Priority>>();
expect<Equal<typeof shedder.isBehind, boolean>>();
expect<Equal<GuardStats['refusedBy']['overload'], number | undefined>>();
