// Whatever another thread does between the native calls of a construction or of `destroy`, an instance of the fleet is there
// as a whole, or not at all. No server is needed: nothing listens at its address.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';
import { RULES } from '../helpers/banning.mjs';
import { betweenNativeCalls } from '../helpers/between-calls.mjs';
import { until } from '../helpers/connecting.mjs';
import { freshName } from '../helpers/peer.mjs';
import { freePort } from '../helpers/redis.mjs';
import { listed, threadsNamed } from '../helpers/threads.mjs';

const { RateLimiter, Reputation } = sluice;

const LIMITED = { limit: 10, window: '1h' };

/** A scope whose server does not answer. */
const unanswered = async () => ({ redis: `redis://127.0.0.1:${await freePort()}`, timeout: '20s' });

/** The instance of this name; undefined where there is none. */
function attach(Kind, name) {
  try {
    return new Kind(name);
  } catch (error) {
    assert.equal(error.code, 'ERR_SLUICE_NOT_FOUND');
    return undefined;
  }
}

/** Fails where the limiter of this name counts by another one that was destroyed. */
async function countsByItself(name, options) {
  const decision = await new RateLimiter(name, options).consumeAsync('a');
  assert.deepEqual([decision.source, decision.remaining], ['local', LIMITED.limit - 1]);
  assert.equal(RateLimiter.destroy(name), true);
}

/** Fails where bans are shared by a native call of their own. */
test('a thread that attaches to a reputation while it is opened awaits the bans of the others', async () => {
  const [name, scope] = [freshName(), await unanswered()];
  let outcome;
  betweenNativeCalls(
    () => new Reputation(name, { ...RULES, scope }),
    () => {
      outcome = attach(Reputation, name)?.ready({ timeout: 1 });
      return outcome;
    },
  );
  await assert.rejects(outcome, { code: 'ERR_SLUICE_SCOPE_UNAVAILABLE' });
  Reputation.destroy(name);
});

/** Fails where bans are shared by a native call of their own: of a reputation that was destroyed before. */
test(
  'a reputation that is destroyed while it is opened has no connection to the server',
  listed,
  async () => {
    const [name, scope] = [freshName(), await unanswered()];
    const reputation = betweenNativeCalls(
      () => new Reputation(name, { ...RULES, scope }),
      () => Reputation.destroy(name),
    );
    assert.equal(attach(Reputation, name), undefined);
    assert.throws(() => reputation.isBanned('203.0.113.7'), { code: 'ERR_SLUICE_CLOSED' });
    await until(() => threadsNamed('sluice-bans') === 0);
  },
);

/** Fails where the counts of the fleet are opened by a native call of their own. */
test('a limiter that is destroyed while it is opened leaves nothing to the next one', async () => {
  const [name, scope] = [freshName(), await unanswered()];
  betweenNativeCalls(
    () => new RateLimiter(name, { ...LIMITED, scope }),
    () => RateLimiter.destroy(name),
  );
  assert.equal(attach(RateLimiter, name), undefined);
  await countsByItself(name, { ...LIMITED, scope });
});

/** Fails where the counts of the fleet are destroyed by a native call of their own. */
test('a limiter that is opened while it is destroyed counts by itself', async () => {
  const [name, scope] = [freshName(), await unanswered()];
  new RateLimiter(name, { ...LIMITED, scope });
  betweenNativeCalls(
    () => RateLimiter.destroy(name),
    () => new RateLimiter(name, { ...LIMITED, scope }),
  );
  await countsByItself(name, { ...LIMITED, scope });
});

/** Fails where a construction without a fleet ends the counts of that name by a native call of its own. */
test('opening a limiter of the process ends no counts of a later one', async () => {
  const [name, scope] = [freshName(), await unanswered()];
  let later;
  betweenNativeCalls(
    () => new RateLimiter(name, LIMITED),
    () => {
      if (!RateLimiter.destroy(name)) return false;
      later = new RateLimiter(name, { ...LIMITED, scope });
      return true;
    },
  );
  assert.equal((await later.consumeAsync('a')).source, 'local');
  RateLimiter.destroy(name);
});

test('limits that the server could not keep exactly do not replace those that it keeps', async () => {
  const [name, scope] = [freshName(), { ...(await unanswered()), timeout: 20 }];
  new RateLimiter(name, { ...LIMITED, scope });
  const inexact = { limit: 999_999, window: 1500, burst: 2 ** 43, scope, onMismatch: 'reconfigure' };
  assert.throws(() => new RateLimiter(name, inexact), { code: 'ERR_SLUICE_INVALID_OPTION' });
  const decision = await new RateLimiter(name).consumeAsync('a');
  assert.deepEqual([decision.source, decision.limit], ['local', LIMITED.limit]);
  assert.equal(RateLimiter.destroy(name), true);
});

test('a limiter that the server could not keep exactly is not there at all', async () => {
  const [name, scope] = [freshName(), await unanswered()];
  const inexact = { limit: 999_999, window: 1500, burst: 2 ** 43, scope };
  assert.throws(() => new RateLimiter(name, inexact), { code: 'ERR_SLUICE_INVALID_OPTION' });
  assert.equal(attach(RateLimiter, name), undefined);
});
