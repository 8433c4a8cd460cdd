// Starts a server in the framework and behind the guard in workerData, and posts its port.
import { parentPort, workerData } from 'node:worker_threads';
import sluice from '../../index.js';
import { serveGuarded } from './guarded.mjs';

const { name, options, framework } = workerData;
const never = { after() {} };
const guard = sluice.createGuard(name, options);
const { port } = await serveGuarded(never, framework, guard);
parentPort.postMessage(port);
