// sluice/hono: functions in its options receive Hono's context, and its variables carry the decision.
import { type Context, Hono } from 'hono';
import type { RateLimiter } from 'sluice';
import sluice, { type GuardDecision, type Handler, type Options } from 'sluice/hono';
import { type Equal, expect } from './equal.mjs';

const handler: Handler = (c, _next, refusal) => c.json({ wait: refusal.problem.retryAfterMs });

const options: Options = {
  name: 'api',
  rateLimit: { limit: 100, window: '1m' },
  key: (c) => {
    expect<Equal<typeof c, Context>>();
    return c.req.header('x-api-key');
  },
  handler,
};

const middleware = sluice(options);
expect<Equal<typeof middleware.guard.limiter, RateLimiter | null>>();

const app = new Hono();
app.use(middleware);
app.get('/', (c) => {
  const decision = c.get('sluice');
  expect<Equal<typeof decision, GuardDecision>>();
  return c.text(decision.client.key);
});

// @ts-expect-error: hooks are Fastify's
sluice({ hook: 'preHandler' });
