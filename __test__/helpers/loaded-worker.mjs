// One of several threads that serve one application on a shared port, in the framework in workerData. Posts its port,
// then replies to each message with the stats of its guard.
import http from 'node:http';
import { parentPort, threadId, workerData } from 'node:worker_threads';
import Fastify from 'fastify';
import sluice from '../../index.js';
import express from '../../lib/express.js';
import fastifyPlugin from '../../lib/fastify.js';

const { framework, guard: options, routeLimit, reportCost } = workerData;

const { server, guard } = framework === 'fastify' ? await withFastify() : await withExpress();
parentPort.on('message', () => parentPort.postMessage(guard.stats()));
parentPort.postMessage(await sluice.listen(server, { port: 0, host: '127.0.0.1' }));

async function withExpress() {
  const { default: create } = await import(framework);
  const app = create();
  const cost = (req) => (req.path === '/report' ? reportCost : 1);
  const middleware = express({ ...options, cost });
  app.use((_req, res, next) => {
    res.setHeader('x-worker', threadId);
    next();
  });
  app.use(middleware);
  const serve = (_req, res) => res.send('served');
  app.get('/', serve);
  app.get('/report', serve);
  app.get('/route', express({ name: `${options.name}:GET /route`, rateLimit: routeLimit }), serve);
  const server = http.createServer(app);
  middleware.guard.attach(server);
  return { server, guard: middleware.guard };
}

async function withFastify() {
  const app = Fastify();
  app.addHook('onRequest', async (_request, reply) => void reply.header('x-worker', threadId));
  await app.register(fastifyPlugin, options);
  const serve = async () => 'served';
  app.get('/', serve);
  app.get('/report', { config: { sluice: { cost: reportCost } } }, serve);
  app.get('/route', { config: { sluice: { rateLimit: routeLimit } } }, serve);
  await app.ready();
  return { server: app.server, guard: app.sluice };
}
