// sluice/koa: functions in its options receive Koa's context, and its state carries the decision.
import Koa, { type Context } from 'koa';
import type { RateLimiter } from 'sluice';
import sluice, { type GuardDecision, type Handler, type Options } from 'sluice/koa';
import { type Equal, expect } from './equal.mjs';

const handler: Handler = (ctx, _next, refusal) => {
  ctx.body = { path: ctx.path, wait: refusal.problem.retryAfterMs };
};

const options: Options = {
  name: 'api',
  rateLimit: { limit: (ctx) => (ctx.get('x-plan') === 'paid' ? 1_000 : 50), window: '1h' },
  key: (ctx) => {
    expect<Equal<typeof ctx, Context>>();
    return ctx.get('x-api-key');
  },
  handler,
};

const middleware = sluice(options);
expect<Equal<typeof middleware.guard.limiter, RateLimiter | null>>();

const app = new Koa();
app.use(middleware);
app.use((ctx) => {
  expect<Equal<typeof ctx.state.sluice, GuardDecision | undefined>>();
  ctx.body = ctx.state.sluice?.client.address;
});

// @ts-expect-error: hooks are Fastify's
sluice({ hook: 'preHandler' });
