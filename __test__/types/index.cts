// The types, imported in CommonJS.
import sluice = require('sluice');
import testing = require('sluice/testing');
import express = require('express');
import fastify = require('fastify');
import guardExpress = require('sluice/express');
import guardFastify = require('sluice/fastify');

const limiter: sluice.RateLimiter = new sluice.RateLimiter('api', { limit: 1, window: '1s' });
const decision: sluice.Decision = limiter.consume(sluice.clientKey('192.0.2.1'));
const code: sluice.SluiceErrorCode = 'ERR_SLUICE_CLOSED';
testing.manualClock().restore();
testing.reset();

const app = express();
const middleware: guardExpress.Middleware = guardExpress({
  name: 'api',
  rateLimit: { limit: 10, window: '1s' },
});
app.use(middleware);

const server = fastify();
server.register(guardFastify, { name: 'api', rateLimit: false });

// @ts-expect-error not exported
const guard = sluice.Guard;
// @ts-expect-error no such option
guardExpress({ rateLimits: false });
// @ts-expect-error no such option
server.register(guardFastify, { rateLimits: false });

export = { code, decision, guard };
