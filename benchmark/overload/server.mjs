// One Fastify in a process of its own. `{ open, blockMs }` starts it and returns its port; any other request returns the
// processor time used so far, in microseconds.
import { createRequire } from 'node:module';
import { answerWith } from '../child.mjs';
import { settle } from '../http/settled.mjs';
import { DAY_MS, PLENTY } from '../plenty.mjs';

const require = createRequire(import.meta.url);

/** What stands before the handlers, by contender. */
const PROTECTIONS = {
  none: () => {},
  '@fastify/under-pressure, 100 ms': (app) =>
    app.register(require('@fastify/under-pressure'), { maxEventLoopDelay: 100 }),
  sluice: (app) =>
    app.register(require('../../lib/fastify.js'), { rateLimit: false, overload: true, priority }),
  'a guard': (app) => app.register(require('../../lib/fastify.js'), WIDE),
  'a guard with overload': (app) =>
    app.register(require('../../lib/fastify.js'), { ...WIDE, overload: NEVER }),
};

/** Decides as usual, and refuses nothing. */
const NEVER = { targetDelay: '10s' };

const WIDE = { rateLimit: { limit: PLENTY, window: DAY_MS } };

const priority = ({ url }) => url.slice(1);

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Blocks for so long on average, without using a processor, so that a machine with few of them measures the same. */
const block = (meanMs) => Atomics.wait(cell, 0, 0, -Math.log(1 - Math.random()) * meanMs);

answerWith(async ({ open, blockMs }) => {
  if (open === undefined) {
    const { user, system } = process.cpuUsage();
    return user + system;
  }
  const app = require('fastify')({ keepAliveTimeout: 60_000 });
  await PROTECTIONS[open](app);
  app.register(async (routes) => {
    for (const path of ['/', '/high', '/normal', '/low']) {
      routes.get(path, async () => {
        if (blockMs > 0) block(blockMs);
        return { hello: 'world' };
      });
    }
  });
  await app.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await settle();
  return app.server.address().port;
});
