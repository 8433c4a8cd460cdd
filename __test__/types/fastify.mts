// sluice/fastify: functions in its options receive Fastify's requests; instance, request and route config are typed.
import fastify, { type FastifyRequest } from 'fastify';
import { Lifecycle, type RateDecision } from 'sluice';
import sluice, { type Guard, type GuardDecision, type Options, type RouteOptions } from 'sluice/fastify';
import { type Equal, expect } from './equal.mjs';

const options: Options = {
  name: 'api',
  rateLimit: { limit: 100, window: '1m' },
  key: (request) => {
    expect<Equal<typeof request, FastifyRequest>>();
    return request.ip;
  },
  handler: (_request, reply, refusal) => reply.send({ wait: refusal.retryAfterMs }),
};

const app = fastify();
await app.register(sluice, options);
await app.register(sluice);
await app.register(new Lifecycle('app').fastify, { readyPath: '/ready' });
expect<Equal<typeof app.sluice, Guard>>();

const strict: RouteOptions = { rateLimit: { limit: 5, window: '1m' }, cost: 2, skip: async () => false };
app.get('/login', { config: { sluice: strict } }, async (request) => {
  expect<Equal<typeof request.sluice, GuardDecision | null>>();
  return request.sluice?.decision?.remaining;
});
const shared: RouteOptions = { name: 'search', rateLimit: { limit: 5, window: '1m' }, hook: 'preHandler' };
app.get('/search', { config: { sluice: shared } }, async (request, reply) => {
  const answer = app.sluice.check(request, reply);
  expect<Equal<typeof answer, Promise<GuardDecision>>>();
  const { status = 500, body, decision } = await answer;
  expect<Equal<typeof decision, RateDecision | null>>();
  return reply.code(status).send(body);
});
app.register(sluice, { hook: 'preValidation', onMismatch: 'reconfigure' });
// @ts-expect-error a route inherits onMismatch from its guard
export const own: RouteOptions = { onMismatch: 'reconfigure' };
// @ts-expect-error no such hook
app.register(sluice, { hook: 'onSend' });
app.get('/health', { config: { sluice: { rateLimit: false } } }, async () => 'ok');
// @ts-expect-error true is not a quota
app.get('/none', { config: { sluice: { rateLimit: true } } }, async () => 'ok');
// @ts-expect-error no such option
app.register(sluice, { limit: 5 });
// @ts-expect-error a cost is a number
app.register(sluice, { cost: '2' });
