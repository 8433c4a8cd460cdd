// Options are own properties: properties that another package put on Object.prototype are ignored.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const PROCESS = fileURLToPath(new URL('../helpers/polluted-process.cjs', import.meta.url));

test('no option is read from Object.prototype, by any component, guard or middleware', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [PROCESS]);
  const { error, statuses, read } = JSON.parse(stdout);
  assert.deepEqual({ error, read }, { error: undefined, read: [] });
  assert.deepEqual(statuses, [200, 429, 200, 429, 200, 429, 'allowed', 'refused', 1008, 429, true, 429]);
});
