// One of the threads behind a dashboard: an Express server with a guard, on the port that all of them share.
import http from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import express from 'express';
import sluice from '../../index.js';

const { name, options, title } = workerData;
const guard = sluice.createGuard(name, options);
const app = express();
app.use('/sluice', sluice.dashboard({ readOnly: false, title, user: () => 'ada' }));
app.use(guard.express());
app.get('/', (_req, res) => res.send('served'));
const server = http.createServer(app);
const { port } = await sluice.listen(server, { port: 0, host: '127.0.0.1' });
parentPort.postMessage(port);
