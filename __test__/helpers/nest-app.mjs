import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { SkipThrottle, ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';

/** Starts a Nest application whose guard has these options of ThrottlerModule, on a free loopback port. */
export async function nestApp(options, adapter = new ExpressAdapter()) {
  class Pages {
    page() {
      return 'served';
    }

    other() {
      return 'other';
    }

    free() {
      return 'free';
    }
  }
  decorate(Pages, 'page', Get('page'));
  decorate(Pages, 'other', Get('other'));
  decorate(Pages, 'free', Get('free'), SkipThrottle());
  Controller()(Pages);

  class App {}
  Module({
    imports: [ThrottlerModule.forRoot(options)],
    controllers: [Pages],
    providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
  })(App);
  const app = await NestFactory.create(App, adapter, { logger: false });
  await app.listen(0, '127.0.0.1');
  return { app, port: app.getHttpServer().address().port };
}

/** Decorates a method of a class, as TypeScript does. */
export function decorate({ prototype }, method, ...decorators) {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, method);
  for (const decorator of decorators) decorator(prototype, method, descriptor);
}
