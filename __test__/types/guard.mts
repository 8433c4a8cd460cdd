// createGuard: one guard for Express, Fastify and plain servers.
import { createServer, type IncomingMessage } from 'node:http';
import express from 'express';
import fastify from 'fastify';
import {
  createGuard,
  type Guard,
  type GuardClient,
  type GuardDecision,
  type GuardShutdown,
  type GuardStats,
  metrics,
  Reputation,
  type SecurityMonitor,
} from 'sluice';
import { type Equal, expect } from './equal.mjs';

const guard = createGuard('api', {
  rateLimit: { limit: 100, window: '1m' },
  connections: { max: 1_000, maxPerClient: 20 },
  reputation: { maxFailures: 5, findTime: '10m', banTime: '10m', maxBanTime: '7d' },
  monitor: { rules: [{ event: 'not-found', count: 20, window: '1m', distinct: true, action: 'ban' }] },
  record: {
    401: { event: 'login-failed', weight: 2 },
    404: 'probe',
    403: { event: 'denied', when: 'always' },
  },
  trustedProxies: ['10.0.0.0/8'],
  clientAddress: 'x-real-ip',
  login: true,
  key: (req) => {
    expect<Equal<typeof req, IncomingMessage>>();
    return req.url ?? '';
  },
  headers: 'legacy',
  dryRun: true,
});
expect<Equal<typeof guard, Guard>>();
createGuard();
createGuard('api', { rateLimit: { limit: 1, window: '1m' }, onMismatch: 'reconfigure' });
// @ts-expect-error no such value of onMismatch
createGuard('api', { onMismatch: 'ignore' });
createGuard('other', { reputation: 'logins', monitor: false, record: false });
createGuard('quiet', { headers: 'refused', policyHeader: 'once-per-connection' });
createGuard('loud', { headers: true, policyHeader: 'always' });
// @ts-expect-error no such value of policyHeader
createGuard('once', { policyHeader: 'once' });
createGuard('third', {
  reputation: new Reputation('logins'),
  clientAddress: ({ socket }) => socket.remoteAddress ?? '',
});

const server = createServer(async (req, res) => {
  const decision = await guard.check(req, res);
  expect<Equal<typeof decision, GuardDecision>>();
  expect<Equal<typeof decision.client, GuardClient>>();
  if (decision.allowed) guard.record(req, 'login-failed', 'ada', { weight: 3 });
  expect<Equal<NonNullable<typeof decision.decision>['moreAfterMs'], number>>();
  if (!decision.allowed) res.writeHead(decision.status ?? 500, decision.headers).end(decision.body);
});
expect<Equal<ReturnType<typeof guard.attach>, Guard>>();
expect<Equal<ReturnType<typeof guard.clientOf>, { readonly address: string | null; readonly key: string }>>();
guard.attach(server);
express().use(guard.express());
fastify().register(guard.fastify);
expect<Equal<typeof guard.reputation, Reputation | null>>();
expect<Equal<typeof guard.monitor, SecurityMonitor | null>>();
expect<Equal<ReturnType<typeof guard.stats>, GuardStats>>();
expect<Equal<ReturnType<typeof guard.metrics>, string>>();
guard.metrics({ comments: false });
expect<Equal<ReturnType<typeof metrics>, string>>();
metrics({ guards: [guard, 'other'] });
// @ts-expect-error guards must be an array
metrics({ guards: 'other' });
expect<Equal<ReturnType<typeof guard.shutdown>, Promise<GuardShutdown>>>();
await guard.shutdown({ timeout: '5s' });

// @ts-expect-error the name is the first argument
createGuard({ rateLimit: false });
// @ts-expect-error the name is not an option
createGuard('api', { name: 'api' });
// @ts-expect-error an entry needs an event
createGuard('api', { record: { 401: { weight: 1 } } });
// @ts-expect-error no such value of when
createGuard('api', { record: { 401: { event: 'denied', when: 'never' } } });
// @ts-expect-error a list of headers is not accepted
createGuard('api', { clientAddress: ['x-real-ip'] });
// @ts-expect-error true is not a reputation
createGuard('api', { reputation: true });
// @ts-expect-error a detail is a string
guard.record({} as IncomingMessage, 'login-failed', { user: 'ada' });
createGuard('api', { concurrency: { max: 100, maxPerClient: 5 } });
expect<Equal<GuardStats['concurrency'], { inFlight: number } | undefined>>();
fastify().get('/stream', { config: { sluice: { concurrency: false } } }, async () => 'open');
// @ts-expect-error true is no cap
createGuard('api', { concurrency: true });
