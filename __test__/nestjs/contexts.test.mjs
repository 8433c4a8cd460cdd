// SluiceGuard in contexts other than HTTP: GraphQL has a request, messages of gateways and microservices have none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import nest from '../../lib/nestjs.js';
import { controllerOf } from '../helpers/nest-guarded.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

stopClock();
const freshName = freshNames('nest-context');

const Pages = controllerOf({ page: {}, free: { decorators: [nest.SkipSluice()] } });

function guardOf(options) {
  const application = new nest.SluiceApplication({ name: freshName(), ...options });
  return { guard: new nest.SluiceGuard(application), limiter: application.guard.limiter };
}

function contextOf(type, args, method = 'page') {
  const context = new ExecutionContextHost(args, Pages, Pages.prototype[method]);
  context.setType(type);
  return context;
}

/** A request as drivers of GraphQL pass it, and the headers that its response gets. */
function exchange() {
  const headers = {};
  const response = {
    setHeader: (name, value) => Object.assign(headers, { [name]: value }),
    getHeader: (name) => headers[name],
    getHeaders: () => headers,
    removeHeader: () => {},
    once: () => {},
  };
  const request = { headers: {}, socket: { remoteAddress: '203.0.113.1' }, complete: true };
  return { request, response, headers };
}

const SHAPES = {
  'req and res': ({ request, response }) => ({ req: request, res: response }),
  'req, which has res': ({ request, response }) => ({ req: Object.assign(request, { res: response }) }),
  'request and response': ({ request, response }) => ({ request, response }),
  'reply, which has request': ({ request, response }) => ({ reply: Object.assign(response, { request }) }),
};

for (const [shape, contextFor] of Object.entries(SHAPES)) {
  test(`GraphQL: each resolver is charged, with a context of ${shape}`, async () => {
    const { guard, limiter } = guardOf({ rateLimit: { limit: 2, window: '10s' } });
    const { request, response, headers } = exchange();
    const context = contextOf('graphql', [{}, {}, contextFor({ request, response }), {}]);
    assert.equal(await guard.canActivate(context), true);
    assert.equal(await guard.canActivate(context), true);
    assert.equal(limiter.peek('203.0.113.1').remaining, 0);
    await assert.rejects(guard.canActivate(context), { name: 'SluiceException', status: 429 });
    assert.equal(headers['Retry-After'], '5');
    assert.equal(request.sluice.outcome, 'refused');
  });
}

test('GraphQL: SluiceExceptionFilter returns the exception', async () => {
  const { guard } = guardOf({ rateLimit: { limit: 1, window: '10s' } });
  const { request, response } = exchange();
  const context = contextOf('graphql', [{}, {}, { req: request, res: response }, {}]);
  await guard.canActivate(context);
  const exception = await guard.canActivate(context).catch((error) => error);
  assert.equal(new nest.SluiceExceptionFilter().catch(exception, context), exception);
});

test('GraphQL: a request without a response keeps no place among those in progress', async () => {
  const application = new nest.SluiceApplication({ name: freshName(), concurrency: { max: 1 } });
  const guard = new nest.SluiceGuard(application);
  const { request } = exchange();
  assert.equal(await guard.canActivate(contextOf('graphql', [{}, {}, { req: request }, {}])), true);
  assert.deepEqual(application.guard.stats().concurrency, { inFlight: 0 });
});

test('GraphQL: a cost of its arguments', async () => {
  const cost = (_request, context) => context.getArgByIndex(1).first;
  const { guard, limiter } = guardOf({ rateLimit: { limit: 100, window: '10s' }, cost });
  const { request, response } = exchange();
  await guard.canActivate(contextOf('graphql', [{}, { first: 30 }, { req: request, res: response }, {}]));
  assert.equal(limiter.peek('203.0.113.1').remaining, 70);
});

for (const [type, args] of [
  ['ws', [{}, {}]],
  ['rpc', [{}, {}]],
  ['graphql', [{}, {}, {}, {}]],
]) {
  test(`${type} without a request is an error, and passes where @SkipSluice says so`, async () => {
    const { guard } = guardOf();
    await assert.rejects(guard.canActivate(contextOf(type, args)), {
      code: 'ERR_SLUICE_UNSUPPORTED',
      message: new RegExp(`^SluiceGuard is given no request by Pages.page \\(${type}\\); accepted: `),
    });
    assert.equal(await guard.canActivate(contextOf(type, args, 'free')), true);
  });
}
