// What was destroyed leaves nothing behind in the thread that used it, though it had listeners and servers.
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
/** Bytes a cycle. A listener that is kept takes 1 300 of the heap at least; an allocator that holds freed memory, some. */
const [HEAP, RESIDENT] = [200, 5_000];

const KINDS = 'breaker broker hub lifecycle limiter monitor registry reputation tracker'.split(' ');
for (const kind of KINDS) {
  test(`ten thousand of one ${kind} after the other leave nothing`, { timeout: 120_000 }, async () => {
    const { heap, rss } = await measure('cycles', kind, CYCLES);
    assert.ok(heap < HEAP, `${heap} bytes of the heap each`);
    if (process.platform === 'linux') assert.ok(rss < RESIDENT, `${rss} bytes of memory each`);
  });
}

test('loading the package anew leaves little behind', { timeout: 120_000 }, async () => {
  const kept = await measure('resets', 100);
  assert.ok(kept < 100, `${kept} KiB each`);
});
