// The functions that an application gives to sluice/express: key, cost, skip and handler.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sluice from '../../lib/express.js';
import { serveGuardedExpress, VERSIONS } from '../helpers/express.mjs';
import { ask, serve, statuses } from '../helpers/http.mjs';
import { freshNames, stopClock } from '../helpers/setup.mjs';

const ONCE = { limit: 1, window: '10s' };

stopClock();
const freshName = freshNames('express-functions');

function throwing(error) {
  return () => {
    throw error;
  };
}

function rejecting(error) {
  return () => Promise.reject(error);
}

for (const [version, express] of Object.entries(VERSIONS)) {
  describe(`Express ${version}`, () => {
    const guarded = (t, options, route) =>
      serveGuardedExpress(t, express, { name: freshName(), ...options }, route);

    describe('key, cost and skip', () => {
      const byUser = (req) => req.headers['x-user'];
      const as = (user) => ({ headers: { 'x-user': user } });

      for (const [kind, key] of [
        ['a function', byUser],
        ['an async function', async (req) => byUser(req)],
      ]) {
        test(`key is ${kind} of the request`, async (t) => {
          const { port } = await guarded(t, { rateLimit: ONCE, key });
          assert.deepEqual(await statuses(2, port, as('ada')), [200, 429]);
          assert.deepEqual(await statuses(2, port, as('bob')), [200, 429]);
        });
      }

      for (const [kind, cost] of [
        ['an integer', 3],
        ['a function', () => 3],
        ['an async function', async () => 3],
      ]) {
        test(`cost is ${kind}`, async (t) => {
          const { port } = await guarded(t, { rateLimit: { limit: 7, window: '7s' }, cost });
          const first = await ask(port);
          assert.match(first.headers.ratelimit, /;r=4;/);
          assert.deepEqual(await statuses(2, port), [200, 429]);
        });
      }

      test('of a guard mounted twice, a key that throws is asked for once', async (t) => {
        let asked = 0;
        const key = () => {
          asked += 1;
          throw new Error('no key');
        };
        const app = express();
        const middleware = sluice({ name: freshName(), rateLimit: ONCE, key });
        app.use(middleware, (_error, _req, _res, next) => next());
        app.use(middleware, (_req, res) => res.send('served'));
        assert.deepEqual(await statuses(2, await serve(t, app)), [200, 200]);
        assert.equal(asked, 2);
      });

      test('a cost above the limit is refused without Retry-After', async (t) => {
        const { port } = await guarded(t, { rateLimit: { limit: 2, window: '10s' }, cost: 3 });
        const refused = await ask(port);
        assert.equal(refused.status, 429);
        assert.equal(refused.headers['retry-after'], undefined);
        assert.equal(refused.json.retryAfterMs, null);
        assert.equal(refused.json.detail, 'The request costs more than its quota can ever hold.');
      });

      for (const [kind, skip] of [
        ['a function', (req) => req.headers['x-user'] === 'root'],
        ['an async function', async (req) => req.headers['x-user'] === 'root'],
      ]) {
        test(`skip is ${kind}: skipped requests are neither charged nor refused`, async (t) => {
          const { port, guard } = await guarded(t, { rateLimit: ONCE, skip });
          assert.deepEqual(await statuses(3, port, as('root')), [200, 200, 200]);
          assert.deepEqual(await statuses(2, port, as('ada')), [200, 429]);
          assert.equal((await ask(port, as('root'))).headers.ratelimit, undefined);
          assert.equal(guard.stats().skipped, 4);
        });
      }

      test('when none of them returns a promise, next is called synchronously', () => {
        const middleware = sluice({
          name: freshName(),
          rateLimit: ONCE,
          key: () => 'ada',
          cost: () => 1,
          skip: () => false,
        });
        let isNextCalled = false;
        middleware({ headers: {}, socket: {} }, { header() {}, getHeader() {} }, () => {
          isNextCalled = true;
        });
        assert.ok(isNextCalled);
      });

      const broken = new Error('the session store is down');
      for (const option of ['key', 'cost', 'skip']) {
        test(`an error thrown or rejected by ${option} reaches the error handler unchanged`, async (t) => {
          for (const fails of [throwing(broken), rejecting(broken)]) {
            const { port, failed, served } = await guarded(t, { [option]: fails });
            assert.equal((await ask(port)).status, 500);
            assert.deepEqual(failed, [broken]);
            assert.deepEqual(served, []);
          }
        });
      }

      test('throwing undefined is an error and admits nothing', async (t) => {
        const { port, failed, served } = await guarded(t, { key: throwing(undefined) });
        assert.equal((await ask(port)).status, 500);
        assert.ok(failed[0] instanceof Error);
        assert.deepEqual(served, []);
      });

      for (const [option, value, code] of [
        ['key', {}, 'ERR_SLUICE_INVALID_KEY'],
        ['key', true, 'ERR_SLUICE_INVALID_KEY'],
        ['cost', 0, 'ERR_SLUICE_INVALID_COST'],
        ['cost', 1.5, 'ERR_SLUICE_INVALID_COST'],
        ['cost', '2', 'ERR_SLUICE_INVALID_COST'],
      ]) {
        test(`an invalid ${option}, ${JSON.stringify(value)}, goes to the error handler and is no internal error`, async (t) => {
          const { port, failed, guard } = await guarded(t, { [option]: () => value });
          assert.equal((await ask(port)).status, 500);
          assert.equal(failed[0].code, code);
          assert.equal(guard.stats().faults, 0);
        });
      }
    });

    describe('handler', () => {
      test('sends the body of a refusal; status and headers are set before', async (t) => {
        const handler = (req, res, _next, refusal) => res.json({ slow: req.path, reason: refusal.reason });
        const { port } = await guarded(t, { rateLimit: ONCE, handler });
        await ask(port);
        const refused = await ask(port);
        assert.equal(refused.status, 429);
        assert.equal(refused.headers['retry-after'], '10');
        assert.match(refused.headers.ratelimit, /;r=0;t=10$/);
        assert.deepEqual(refused.json, { slow: '/', reason: 'quota' });
      });

      test('receives the decision and the problem document', async (t) => {
        let received;
        const handler = (_req, res, _next, refusal) => {
          received = refusal;
          res.end();
        };
        const { port } = await guarded(t, { rateLimit: ONCE, cost: 2, handler });
        await ask(port);
        assert.equal(received.status, 429);
        assert.equal(received.retryAfterMs, Number.POSITIVE_INFINITY);
        assert.equal(received.problem.retryAfterMs, null);
        assert.equal(received.decision.remaining, 1);
      });

      const broken = new Error('no template');
      for (const [verb, handler] of [
        ['throws', throwing(broken)],
        ['rejects with', rejecting(broken)],
      ]) {
        test(`an error that it ${verb} reaches the error handler unchanged`, async (t) => {
          const { port, failed } = await guarded(t, { rateLimit: ONCE, handler });
          await ask(port);
          assert.equal((await ask(port)).status, 500);
          assert.deepEqual(failed, [broken]);
        });
      }
    });

    test('an error of handler gives 500 instead of 429', async (t) => {
      const app = express();
      app.set('env', 'test');
      app.use(sluice({ name: freshName(), rateLimit: ONCE, handler: throwing(new Error('no template')) }));
      assert.deepEqual(await statuses(2, await serve(t, app)), [404, 500]);
    });
  });
}
