// Express applications for tests.

import express5 from 'express';
import express4 from 'express4';
import sluice from '../../lib/express.js';
import { serve } from './http.mjs';

export const VERSIONS = { 4: express4, 5: express5 };

/**
 * An application behind one guard. `served` holds the requests of its route, `failed` the errors of its error handler.
 */
export async function serveGuardedExpress(t, express, options, route = (_req, res) => res.send('served')) {
  const middleware = sluice(options);
  const seen = { served: [], failed: [], guard: middleware.guard };
  const app = express();
  app.use(middleware);
  app.all('/', (req, res) => {
    seen.served.push(req);
    route(req, res);
  });
  app.use((error, _req, res, _next) => {
    seen.failed.push(error);
    res.status(500).send('failed');
  });
  return { port: await serve(t, app), ...seen };
}
