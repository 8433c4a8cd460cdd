// A process that has one of everything that has metrics, and has used it.
import sluice from '../../index.js';

/** Nothing ends while pages of metrics are compared. */
const BANS = { maxFailures: 2, findTime: '1h', banTime: '1h', maxBanTime: '1h' };
const HOUR_MS = 3_600_000;

export const requestFrom = (remoteAddress) => ({ headers: {}, socket: { remoteAddress }, url: '/' });

/** Makes one of each, named by `name`, and uses it. Call it after a collector has begun to measure. */
export async function useEverything(t, name) {
  const guard = sluice.createGuard(name, {
    rateLimit: { limit: 2, window: '1h' },
    connections: { max: 5 },
    reputation: BANS,
    monitor: { rules: [] },
    concurrency: { max: 5 },
    overload: true,
  });
  for (let one = 0; one < 5; one++) guard.check(requestFrom('192.0.2.1'));
  guard.record(requestFrom('192.0.2.2'), 'login-failed', 'ada', { weight: 2 });
  new sluice.ConnectionTracker(`${name}-tracker`, { max: 5 }).tryOpen('192.0.2.3');
  new sluice.RateLimiter(`${name}-limiter`, { limit: 1, window: '1h' }).tryConsume('key');
  const redis = 'redis://127.0.0.1:1';
  const scope = { redis, onError: 'local', timeout: 20 };
  const fleet = new sluice.RateLimiter(`${name}-fleet`, { limit: 1, window: '1h', scope });
  await fleet.consumeAsync('key');
  const breaker = new sluice.CircuitBreaker(`${name}-breaker`, { openFor: '10s' });
  await breaker.fire('target', async () => {});
  const broker = new sluice.Broker(`${name}-broker`);
  t.after(() => broker.close());
  broker.handle('double', (number) => 2 * number);
  await broker.call('double', 2);
  await broker.call('nothing', 2).catch(() => {});
  const hub = new sluice.ClientHub(`${name}-hub`);
  await hub.getOrInit('key', async () => 1);
  await hub.getOrInit('key', async () => 1);
  new sluice.Registry(`${name}-registry`).set('key', 1);
  new sluice.HitCounter(`${name}-counter`, { maxKeys: 100 }).add('key', 1, HOUR_MS);
  new sluice.Semaphore(`${name}-semaphore`, { permits: 1 }).tryAcquire()?.release();
  new sluice.LoadShedder(`${name}-shedder`, {}).admit();
  new sluice.Lifecycle(`${name}-lifecycle`).ready();
  return { guard, breaker, broker, hub };
}
