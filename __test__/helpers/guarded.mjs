// A guarded server in each framework. It answers /404 with 404 and so on, and / with 200.
import { once } from 'node:events';
import http from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import express5 from 'express';
import express4 from 'express4';
import Fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { keepAliveAgent } from './http.mjs';

const statusOf = (url) => Number(/^\/(\d{3})/.exec(url)?.[1] ?? 200);

const LISTENERS = {
  'plain http': async (guard) => {
    const server = http.createServer(async (req, res) => {
      const decision = await guard.check(req);
      if (!decision.allowed) return res.writeHead(decision.status, decision.headers).end(decision.body);
      res.writeHead(statusOf(req.url), decision.headers).end('answer');
    });
    guard.attach(server);
    return server;
  },
  'a listener of http': async (guard) =>
    http.createServer(guard.http()((req, res) => res.writeHead(statusOf(req.url)).end('answer'))),
  'Koa 3': async (guard) => {
    const app = new Koa();
    app.use(guard.koa());
    app.use((ctx) => {
      ctx.status = statusOf(ctx.url);
      ctx.body = 'answer';
    });
    return http.createServer(app.callback());
  },
  'Hono 4': async (guard) => {
    const app = new Hono();
    app.use(guard.hono());
    app.all('*', (c) => c.text('answer', statusOf(c.req.path)));
    return createAdaptorServer(app);
  },
  'Express 4': async (guard) => http.createServer(application(express4, guard)),
  'Express 5': async (guard) => http.createServer(application(express5, guard)),
  'Fastify 5': async (guard) => {
    const app = Fastify();
    await app.register(guard.fastify);
    app.get('/*', async (request, reply) => reply.code(statusOf(request.url)).send('answer'));
    await app.ready();
    return app.server;
  },
};

export const FRAMEWORKS = Object.keys(LISTENERS);

function application(express, guard) {
  const app = express();
  app.use(guard.express());
  return app.use((req, res) => res.status(statusOf(req.url)).send('answer'));
}

/** A server of the framework behind the guard, until the test ends. */
export async function serveGuarded(t, framework, guard) {
  const server = await LISTENERS[framework](guard);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { server, port: server.address().port };
}

/** One keep-alive connection until the test ends. */
export const keepConnection = (t) => keepAliveAgent(t, { maxSockets: 1 });
