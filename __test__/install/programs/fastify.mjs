// An ES module with Fastify. Prints what was served.
import { fastify } from 'fastify';
import sluice from 'sluice/fastify';
import { manualClock } from 'sluice/testing';

manualClock();
const app = fastify();
await app.register(sluice, { rateLimit: { limit: 2, window: '1h' } });
app.get('/', async () => 'served');
const url = await app.listen({ port: 0, host: '127.0.0.1' });
const statuses = [];
for (let i = 0; i < 3; i++) statuses.push((await fetch(url)).status);
app.server.closeAllConnections();
await app.close();
console.log(JSON.stringify({ statuses }));
