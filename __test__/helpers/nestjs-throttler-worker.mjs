// Starts a Nest application behind ThrottlerGuard with the storage named in workerData, and posts its port.
import { parentPort, workerData } from 'node:worker_threads';
import stores from '../../lib/stores/nestjs-throttler.js';
import { nestApp } from './nest-app.mjs';

const storage = new stores.ThrottlerStorage({ name: workerData.name, maxKeys: 1000 });
const { port } = await nestApp({ throttlers: [{ ttl: 3_600_000, limit: 50 }], storage });
parentPort.postMessage(port);
