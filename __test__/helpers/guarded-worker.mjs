// A server of its own in this thread, in the framework and behind the guard that the main thread names.
import { parentPort, workerData } from 'node:worker_threads';
import sluice from '../../index.js';
import { serveGuarded } from './guarded.mjs';

const { name, options, framework } = workerData;
const never = { after() {} };
const guard = sluice.createGuard(name, options);
const { port } = await serveGuarded(never, framework, guard);
parentPort.postMessage(port);
