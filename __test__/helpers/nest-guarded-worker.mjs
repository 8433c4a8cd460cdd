// Starts a Nest application behind SluiceGuard on the platform in workerData, and posts its port.
import { parentPort, workerData } from 'node:worker_threads';
import nest from '../../lib/nestjs.js';
import { ADAPTERS, controllerOf, guardedApp } from './nest-guarded.mjs';

const { platform, options, search } = workerData;
const controllers = [controllerOf({ page: {}, search: { decorators: [nest.Sluice(search)] } })];
const { port } = await guardedApp({ Adapter: ADAPTERS[platform], options, controllers });
parentPort.postMessage(port);
