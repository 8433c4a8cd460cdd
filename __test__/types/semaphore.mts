// Semaphore: what its calls take and return.
import { type PermitOptions, Semaphore, type SemaphorePermit, type SemaphoreStats } from 'sluice';
import { type Equal, expect } from './equal.mjs';

const semaphore = new Semaphore('database', { permits: 8, maxWaiting: 100, onMismatch: 'reconfigure' });
new Semaphore('database');

const options: PermitOptions = { key: 'ada', permits: 2, timeout: '2s', signal: AbortSignal.timeout(5) };
const permit: SemaphorePermit = await semaphore.acquire(options);
permit.release();
permit[Symbol.dispose]();
await semaphore.acquire({ timeout: Number.POSITIVE_INFINITY });

const tried: SemaphorePermit | null = semaphore.tryAcquire({ key: 'ada' });
tried?.release();

const rows = await semaphore.run(async (signal) => [signal.aborted], options);
expect<Equal<typeof rows, boolean[]>>();
const count = await semaphore.run(() => 7);
expect<Equal<typeof count, number>>();

const stats: SemaphoreStats = semaphore.stats();
const held: number = stats.held;
expect<Equal<typeof stats.perThread, Record<string, number>>>();
semaphore.reconfigure({ permits: 4 });
semaphore.reconfigure({ maxWaiting: held });
Semaphore.destroy('database');

// @ts-expect-error permits are required at creation
new Semaphore('other', { maxWaiting: 1 });
// @ts-expect-error tryAcquire does not wait
semaphore.tryAcquire({ timeout: 1 });
// @ts-expect-error one permit is a number
semaphore.acquire({ permits: '1' });
