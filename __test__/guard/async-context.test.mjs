// A context of AsyncLocalStorage survives the guard, in whatever way a decision is made. Koa, Hono, Nest and WebSockets have
// this test in their own files.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import http2 from 'node:http2';
import { test } from 'node:test';
import middleware from '../../lib/express.js';
import plugin from '../../lib/fastify.js';
import protecting from '../../lib/node-http.js';
import { VERSIONS } from '../helpers/express.mjs';
import { createFastify, listenOn } from '../helpers/fastify.mjs';
import { ask, serve } from '../helpers/http.mjs';
import { freshNames } from '../helpers/setup.mjs';

const freshName = freshNames('context');

const foreign = new AsyncLocalStorage();

/** A thenable that is not the language's: it calls back in the context of whatever settles it. */
class Foreign {
  // biome-ignore lint/suspicious/noThenProperty: libraries have such promises of their own.
  then(resolve) {
    foreign.run('foreign', () => setImmediate(resolve, 'k'));
  }
}

/** Functions of a guard that leave the current turn, in ways of their own. */
const KEYS = {
  'at once': () => 'k',
  'after a promise': async () => 'k',
  'after a timer': () => new Promise((resolve) => setImmediate(resolve, 'k')),
  'after a foreign promise': () => new Foreign(),
};

for (const [when, key] of Object.entries(KEYS)) {
  for (const [version, express] of Object.entries(VERSIONS)) {
    test(`Express ${version}, decided ${when}`, async (t) => {
      const storage = new AsyncLocalStorage();
      const app = express();
      app.use((req, _res, next) => storage.run(req.url, next));
      app.use(middleware({ name: freshName(), key }));
      app.use((_req, res) => res.send(storage.getStore()));
      const port = await serve(t, app);
      assert.equal((await ask(port, { path: '/a' })).text, '/a');
    });
  }

  for (const hook of ['onRequest', 'preParsing', 'preValidation', 'preHandler']) {
    test(`Fastify 5 in ${hook}, decided ${when}`, async (t) => {
      const storage = new AsyncLocalStorage();
      const fastify = createFastify(t);
      fastify.addHook('onRequest', (request, _reply, next) => storage.run(request.url, next));
      fastify.register(plugin, { name: freshName(), key, hook });
      fastify.get('/a', async () => storage.getStore());
      const port = await listenOn(fastify);
      assert.equal((await ask(port, { path: '/a' })).text, '/a');
    });
  }

  test(`node:http, decided ${when}`, async (t) => {
    const storage = new AsyncLocalStorage();
    const protect = protecting({ name: freshName(), key });
    const listener = protect((_req, res) => res.end(storage.getStore()));
    const port = await serve(t, (req, res) => storage.run(req.url, () => listener(req, res)));
    assert.equal((await ask(port, { path: '/a' })).text, '/a');
  });

  test(`node:http2, decided ${when}`, async (t) => {
    const storage = new AsyncLocalStorage();
    const protect = protecting({ name: freshName(), key });
    const listener = protect((_req, res) => res.end(storage.getStore()));
    const server = http2.createServer((req, res) => storage.run(req.url, () => listener(req, res)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const session = http2.connect(`http://127.0.0.1:${server.address().port}`);
    t.after(() => {
      session.destroy();
      server.close();
    });
    const stream = session.request({ ':path': '/a' });
    let text = '';
    for await (const chunk of stream.setEncoding('utf8')) text += chunk;
    assert.equal(text, '/a');
  });
}
