// Destroyed instances leave no memory behind in the thread that used them, even with listeners and attached servers.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const file = fileURLToPath(new URL('../helpers/memory-process.cjs', import.meta.url));

async function measure(...scenario) {
  const args = ['--expose-gc', file, JSON.stringify(scenario)];
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout);
}

const CYCLES = 10_000;
/** Bounds in bytes per cycle. A leaked listener takes at least 1300 of the heap; allocators keep some freed memory. */
const [HEAP, RESIDENT] = [200, 5_000];

const KINDS = 'breaker broker hub lifecycle limiter monitor registry reputation tracker'.split(' ');
for (const kind of KINDS) {
  test(`10 000 cycles of creating and destroying a ${kind} leak nothing`, { timeout: 120_000 }, async () => {
    const { heap, rss } = await measure('cycles', kind, CYCLES);
    assert.ok(heap < HEAP, `${heap} bytes of the heap per cycle`);
    if (process.platform === 'linux') assert.ok(rss < RESIDENT, `${rss} bytes of resident memory per cycle`);
  });
}

test('loading the package again leaks less than 100 KiB each time', { timeout: 120_000 }, async () => {
  const kept = await measure('resets', 100);
  assert.ok(kept < 100, `${kept} KiB per load`);
});
