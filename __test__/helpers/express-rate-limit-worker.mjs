// Starts an Express server behind express-rate-limit with the store named in workerData, and posts its port.
import http from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import express from 'express';
import { rateLimit } from 'express-rate-limit';
import stores from '../../lib/stores/express-rate-limit.js';

const app = express();
const store = new stores.ExpressRateLimitStore({ name: workerData.name, maxKeys: 1000 });
app.use(rateLimit({ windowMs: 3_600_000, limit: 50, store, legacyHeaders: false }));
app.get('/', (_req, res) => res.send('served'));
const server = http
  .createServer(app)
  .listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
