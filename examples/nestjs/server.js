'use strict';

// One worker thread: Nest, with a limit for the whole application, one that two routes share, and a route without any. In
// TypeScript the decorators stand before classes and methods; here they are called.

require('reflect-metadata');
const { Controller, Get, Module, Post, Req } = require('@nestjs/common');
const { APP_FILTER, APP_GUARD, NestFactory } = require('@nestjs/core');
const { SkipSluice, Sluice, SluiceExceptionFilter, SluiceGuard, SluiceModule } = require('sluice/nestjs');
const { listen } = require('sluice');
const { parentPort } = require('node:worker_threads');

const minute = (limit) => ({ limit, window: '1m', algorithm: 'fixed-window' });

// Routes with one name share a limiter. A password costs more than a code by mail.
const credentials = { name: 'credentials', rateLimit: minute(10), key: (req) => req.headers['x-account'] };

class Site {
  page(req) {
    return { left: req.sluice.decision.remaining };
  }

  login() {
    return 'welcome';
  }

  mailCode() {
    return 'sent';
  }

  health() {
    return 'ok';
  }
}

function decorate(name, ...decorators) {
  const descriptor = Object.getOwnPropertyDescriptor(Site.prototype, name);
  for (const decorator of decorators) decorator(Site.prototype, name, descriptor);
}

decorate('page', Get());
Req()(Site.prototype, 'page', 0);
decorate('login', Post('login'), Sluice({ ...credentials, cost: 2 }));
decorate('mailCode', Post('code'), Sluice(credentials));
decorate('health', Get('health'), SkipSluice());
Controller()(Site);

class App {}
Module({
  imports: [
    SluiceModule.forRoot({ name: 'site', rateLimit: minute(50), connections: { maxPerClient: 100 } }),
  ],
  controllers: [Site],
  providers: [
    { provide: APP_GUARD, useClass: SluiceGuard },
    // Refusals are problem documents (RFC 9457).
    { provide: APP_FILTER, useClass: SluiceExceptionFilter },
  ],
})(App);

async function main() {
  const app = await NestFactory.create(App, { logger: ['error'] });
  await app.init();
  // All threads share the port.
  parentPort.postMessage(await listen(app.getHttpServer(), { port: 0, host: '127.0.0.1' }));
}

main();
