// sluice/nestjs: a module, a guard and decorators as Nest's users write them.
import {
  type CanActivate,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  type HttpException,
  Module,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD } from '@nestjs/core';
import type { Guard } from 'sluice';
import {
  type GuardDecision,
  SkipSluice,
  Sluice,
  type SluiceApplication,
  type SluiceException,
  SluiceExceptionFilter,
  SluiceGuard,
  SluiceModule,
  type SluiceModuleOptions,
  type SluiceOptionsFactory,
} from 'sluice/nestjs';
import { type Equal, expect } from './equal.mjs';

const options: SluiceModuleOptions = {
  name: 'api',
  rateLimit: { limit: (request) => (request.user.isPaying ? 1_000 : 50), window: '1h' },
  connections: { maxPerClient: 20 },
  trustedProxies: ['10.0.0.0/8'],
  key: (request, context) => {
    expect<Equal<typeof context, ExecutionContext>>();
    return request.user.id;
  },
};

class Settings implements SluiceOptionsFactory {
  async createSluiceOptions() {
    return options;
  }
}

class Site {
  @Sluice({ name: 'login', rateLimit: { limit: 5, window: '1m' }, cost: 2 })
  @Get('login')
  login() {}

  @SkipSluice()
  @Get('health')
  health() {}
}
SkipSluice()(Site);
Sluice({ rateLimit: { limit: 5, window: '1m' } })(Site);
Controller()(Site);

class App {
  readonly guard: Guard;

  constructor(application: SluiceApplication) {
    this.guard = application.guard;
  }
}
Module({
  imports: [
    SluiceModule.forRoot(options),
    SluiceModule.forRoot({ rateLimit: false, isGlobal: false }),
    SluiceModule.forRootAsync({
      useFactory: (limit: number) => ({ rateLimit: { limit, window: '1m' } }),
      inject: ['LIMIT'],
    }),
    SluiceModule.forRootAsync({ useClass: Settings }),
  ],
  providers: [
    { provide: APP_GUARD, useClass: SluiceGuard },
    { provide: APP_FILTER, useClass: SluiceExceptionFilter },
  ],
})(App);

const guard: CanActivate | undefined = undefined as SluiceGuard | undefined;
const filter: ExceptionFilter = new SluiceExceptionFilter();
declare const exception: SluiceException;
const thrown: HttpException = exception;
const wait: number = exception.refusal.retryAfterMs;
declare const request: Express.Request;
expect<Equal<typeof request.sluice, GuardDecision | undefined>>();

// @ts-expect-error: refusals are exceptions, which filters answer
SluiceModule.forRoot({ handler: () => {} });
// @ts-expect-error: connections are those of the whole application
Sluice({ connections: { max: 1 } });
// @ts-expect-error: misspelt
Sluice({ rateLimits: false });

export { filter, guard, thrown, wait };
