// Stores pass for those of the limiters that they are for.
import rateLimitPlugin from '@fastify/rate-limit';
import { ThrottlerModule, type ThrottlerStorage as ThrottlerStorageInterface } from '@nestjs/throttler';
import { rateLimit } from 'express-rate-limit';
import Fastify from 'fastify';
import { type RateLimiterRes, RateLimiterUnion } from 'rate-limiter-flexible';
import { ExpressRateLimitStore } from 'sluice/express-rate-limit';
import { FastifyRateLimitStore } from 'sluice/fastify-rate-limit';
import { SluiceThrottlerStorage, ThrottlerStorage } from 'sluice/nestjs-throttler';
import { RateLimiterMemory } from 'sluice/rate-limiter-flexible';

rateLimit({ windowMs: 1_000, limit: 5, store: new ExpressRateLimitStore({ name: 'api', maxKeys: 100 }) });

const app = Fastify();
app.register(rateLimitPlugin, { store: FastifyRateLimitStore });
app.register(rateLimitPlugin, { store: FastifyRateLimitStore.named('api', { maxKeys: 100 }) });

// @ts-expect-error: windows are options of the limiter
new ExpressRateLimitStore({ windowMs: 5 });

new RateLimiterUnion(
  new RateLimiterMemory({ name: 'second', points: 5, duration: 1, maxKeys: 100 }),
  new RateLimiterMemory({ keyPrefix: 'minute', points: 50, duration: 60, blockDuration: 60 }),
);
const limiter = new RateLimiterMemory({ name: 'api', points: 5, duration: 1, keepKeys: true });
const left: Promise<RateLimiterRes> = limiter.consume('ada', 2, { customDuration: 5 });
const restored: number | undefined = limiter.restore(limiter.dump())?.restored;
const keys: (string | number)[] | undefined = limiter.restore(limiter.dump(), true)?.restored.keys;

// @ts-expect-error: points and duration are required
new RateLimiterMemory({ name: 'api' });

const storage: ThrottlerStorageInterface = new ThrottlerStorage({ name: 'api', overflow: 'deny' });
ThrottlerModule.forRoot({ throttlers: [{ ttl: 1_000, limit: 5 }], storage: new SluiceThrottlerStorage() });

// @ts-expect-error: limits are options of the module
new ThrottlerStorage({ limit: 5 });

export { keys, left, restored, storage };
