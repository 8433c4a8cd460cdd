// sluice/express: functions in its options receive Express's requests, and requests carry the decision.
import express, { type Request } from 'express';
import { Lifecycle, type RateLimiter } from 'sluice';
import sluice, {
  type GuardDecision,
  type Handler,
  type Options,
  type Problem,
  type Refusal,
} from 'sluice/express';
import { type Equal, expect } from './equal.mjs';

const handler: Handler = (req, res, _next, refusal) => {
  expect<Equal<typeof refusal, Refusal>>();
  expect<Equal<typeof refusal.problem, Problem>>();
  res.status(refusal.status).json({ path: req.path, wait: refusal.problem.retryAfterMs });
};

const options: Options = {
  name: 'api',
  rateLimit: { limit: 100, window: '1m' },
  connections: { max: 1_000, maxPerClient: 20 },
  trustedProxies: ['10.0.0.0/8'],
  key: (req) => {
    expect<Equal<typeof req, Request>>();
    return req.header('x-api-key') ?? '';
  },
  cost: async (req) => (req.method === 'POST' ? 5 : 1),
  skip: (req) => req.path === '/health',
  handler,
  headers: 'legacy',
  dryRun: true,
};

const app = express();
app.use(new Lifecycle('app').health({ livePath: '/live' }));
const middleware = sluice(options);
expect<Equal<typeof middleware.guard.limiter, RateLimiter | null>>();
app.use(sluice());
app.use(middleware);
app.get('/login', sluice({ name: 'login', rateLimit: { limit: 5, window: '1m' } }), (req, res) => {
  expect<Equal<typeof req.sluice, GuardDecision | undefined>>();
  res.json(req.sluice?.decision?.remaining);
});
expect<Equal<ReturnType<typeof middleware.guard.stats>['faults'], number>>();

// @ts-expect-error no such format
sluice({ headers: 'draft-6' });
sluice({
  key: async (req) => (req.path === '/' ? 7n : undefined),
  keyFallback: 'refuse',
  skipPreflight: true,
  wait: '2s',
});
sluice({
  cors: { origin: ['https://app.example', /\.example$/], credentials: true, exposedHeaders: ['RateLimit'] },
});
sluice({ cors: true, refusedBody: { bytes: 1_000_000, timeout: '1s', connections: 8 } });
sluice({ refusedBody: false, onMismatch: 'reconfigure' });
// @ts-expect-error a key is a string, number or bigint
sluice({ key: () => ({}) });
// @ts-expect-error no such fallback
sluice({ keyFallback: 'ip' });
// @ts-expect-error Express has no hooks
sluice({ hook: 'preHandler' });
// @ts-expect-error the name is an option
sluice('api', {});
// @ts-expect-error a quota needs its window
sluice({ rateLimit: { limit: 5 } });
