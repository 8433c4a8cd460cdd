import 'reflect-metadata';
import { Controller, Get, Module, Req, UseGuards } from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import nest from '../../lib/nestjs.js';
import { decorate } from './nest-app.mjs';

export const ADAPTERS = [ExpressAdapter, FastifyAdapter];

/** A controller with a route for each entry of `routes`: `{ decorators, handler }`; handlers are given the request. */
export function controllerOf(routes, ...decorators) {
  class Pages {}
  for (const [name, { decorators: own = [], handler = () => 'served', isUnnamed = false }] of Object.entries(
    routes,
  )) {
    // Decorators that wrap a method often leave it without its name.
    const method = { [isUnnamed ? '' : name]: (request) => handler(request) }[isUnnamed ? '' : name];
    Object.defineProperty(Pages.prototype, name, { value: method, writable: true, configurable: true });
    decorate(Pages, name, Get(name), ...own);
    Req()(Pages.prototype, name, 0);
  }
  for (const decorator of decorators) decorator(Pages);
  Controller()(Pages);
  return Pages;
}

/** An application behind `SluiceGuard`, on a free loopback port. `isGlobal: false` leaves the guard to the routes. */
export async function guardedApp({
  Adapter = ExpressAdapter,
  options,
  module = nest.SluiceModule.forRoot(options),
  controllers,
  providers = [],
  isGlobal = true,
  setUp = () => {},
}) {
  class App {}
  const guards = isGlobal ? [{ provide: APP_GUARD, useClass: nest.SluiceGuard }] : [];
  Module({ imports: [module], controllers, providers: [...providers, ...guards] })(App);
  const app = await NestFactory.create(App, new Adapter(), { logger: false, abortOnError: false });
  setUp(app);
  await app.listen(0, '127.0.0.1');
  return { app, port: app.getHttpServer().address().port, guard: app.get(nest.SluiceApplication).guard };
}

/** The same, until the test ends. */
export async function serveApp(t, given) {
  const served = await guardedApp(given);
  t.after(async () => {
    served.app.getHttpServer().closeAllConnections();
    await served.app.close();
  });
  return served;
}

export const guarded = UseGuards(nest.SluiceGuard);
