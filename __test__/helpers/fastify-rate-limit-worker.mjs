// Starts a Fastify server behind @fastify/rate-limit with the store named in workerData, and posts its port.
import { parentPort, workerData } from 'node:worker_threads';
import rateLimit from '@fastify/rate-limit';
import Fastify from 'fastify';
import stores from '../../lib/stores/fastify-rate-limit.js';

const app = Fastify();
const store = stores.FastifyRateLimitStore.named(workerData.name, { maxKeys: 1000 });
await app.register(rateLimit, { store, max: 50, timeWindow: 3_600_000 });
app.get('/', async () => 'served');
await app.listen({ port: 0, host: '127.0.0.1' });
parentPort.postMessage(app.server.address().port);
