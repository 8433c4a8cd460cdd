// Builds what the tests use besides the addon: the tests of the engine, and an addon whose wakes are slow.
import { spawnSync } from 'node:child_process';
import { slowWakerEnv } from '../__test__/helpers/slow-waker.mjs';
import { root } from './addon.mjs';
import { fail, requireRust } from './requirements.mjs';

requireRust();
const args = ['test', '--workspace', '--no-run', '--quiet'];
const { status } = spawnSync('cargo', args, { cwd: root, stdio: 'inherit' });
if (status !== 0) fail('the tests of the engine do not compile.');
slowWakerEnv();
