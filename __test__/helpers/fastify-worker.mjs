// Starts a Fastify server behind the guard in workerData and posts its port.
import { parentPort, workerData } from 'node:worker_threads';
import Fastify from 'fastify';
import sluice from '../../lib/fastify.js';

const { routeLimit, ...options } = workerData;
const fastify = Fastify();
fastify.register(sluice, options);
fastify.get('/', async () => 'served');
fastify.get('/route', { config: { sluice: { rateLimit: routeLimit } } }, async () => 'served');
await fastify.listen({ port: 0, host: '127.0.0.1' });
parentPort.postMessage(fastify.server.address().port);
