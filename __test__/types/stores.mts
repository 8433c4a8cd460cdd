// Stores pass for those of the limiters that they are for.
import rateLimitPlugin from '@fastify/rate-limit';
import { rateLimit } from 'express-rate-limit';
import Fastify from 'fastify';
import { ExpressRateLimitStore } from 'sluice/express-rate-limit';
import { FastifyRateLimitStore } from 'sluice/fastify-rate-limit';

rateLimit({ windowMs: 1_000, limit: 5, store: new ExpressRateLimitStore({ name: 'api', maxKeys: 100 }) });

const app = Fastify();
app.register(rateLimitPlugin, { store: FastifyRateLimitStore });
app.register(rateLimitPlugin, { store: FastifyRateLimitStore.named('api', { maxKeys: 100 }) });

// @ts-expect-error: windows are options of the limiter
new ExpressRateLimitStore({ windowMs: 5 });
