// Starts an Express server behind the guard in workerData and posts its port.
import http from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import express from 'express';
import sluice from '../../lib/express.js';

const app = express();
app.use(sluice(workerData));
app.get('/', (_req, res) => res.send('served'));
const server = http
  .createServer(app)
  .listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
