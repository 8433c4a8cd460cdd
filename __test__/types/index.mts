// The types of limiters, errors, listen(), sluice/testing and onMismatch: each line under @ts-expect-error must not
// compile. Other components are in the other files of this folder.
import { createServer as createHttp } from 'node:http';
import { createServer as createTcp } from 'node:net';
import {
  type AcquiredDecision,
  type AcquireOptions,
  type Algorithm,
  Broker,
  CircuitBreaker,
  ClientHub,
  ConnectionTracker,
  clientKey,
  type Decision,
  type Duration,
  type FleetStats,
  type KeyHandle,
  Lifecycle,
  type LimiterScope,
  type LimitOptions,
  listen,
  type MachineScope,
  type MachineStats,
  type OnMismatch,
  RateLimiter,
  type RateLimiterOptions,
  type RateLimiterStats,
  Registry,
  Reputation,
  SecurityMonitor,
  SluiceError,
  type SluiceErrorCode,
} from 'sluice';
import { type ManualClock, manualClock, reset } from 'sluice/testing';
import { type Equal, expect } from './equal.mjs';

// Durations
const durations: Duration[] = [0, 250, '250ms', '10s', '5m', '1h', '30d'];
// @ts-expect-error a unit is missing
durations.push('10');
// @ts-expect-error no such unit
durations.push('2w');
// @ts-expect-error not an integer
durations.push('1.5s');

// RateLimiter
const options: RateLimiterOptions = {
  limit: 100,
  window: '1m',
  burst: 20,
  maxKeys: 1_000,
  maxWaiting: 50,
  overflow: 'deny',
  dryRun: true,
};
const limiter = new RateLimiter('api', options);
new RateLimiter('api');
new RateLimiter('api', { limit: 1, window: 1_000, algorithm: 'gcra', scope: 'process' });
expect<Equal<ReturnType<typeof limiter.tryConsume>, boolean>>();
expect<Equal<ReturnType<typeof limiter.consume>, Decision>>();
expect<Equal<ReturnType<typeof limiter.consumeAsync>, Promise<Decision>>>();
expect<Equal<ReturnType<typeof limiter.consumeMany>, boolean[]>>();
expect<Equal<ReturnType<typeof limiter.acquire>, Promise<AcquiredDecision>>>();
expect<Equal<AcquiredDecision['waitedMs'], number>>();
const patience: AcquireOptions = { cost: 2, timeout: Infinity, signal: new AbortController().signal };
limiter.acquire('a', patience);
limiter.handle('a').acquire({ timeout: '2s' });
// @ts-expect-error the cost is an option
limiter.acquire('a', 2);
// @ts-expect-error no duration
limiter.acquire('a', { timeout: 'soon' });
expect<Equal<ReturnType<typeof limiter.handle>, KeyHandle>>();
expect<Equal<ReturnType<typeof limiter.stats>, RateLimiterStats>>();
expect<Equal<Decision['wouldRefuse'], boolean | undefined>>();
expect<Equal<Decision['source'], 'redis' | 'lease' | 'local' | 'allow' | 'deny' | undefined>>();
expect<Equal<ReturnType<typeof limiter.peekAsync>, Promise<Decision>>>();
expect<Equal<ReturnType<typeof limiter.blockAsync>, Promise<boolean>>>();
expect<Equal<ReturnType<typeof limiter.ready>, Promise<void>>>();
expect<Equal<RateLimiterStats['fleet'], FleetStats | undefined>>();
const scope: LimiterScope = {
  redis: { url: 'redis://host', password: 'x' },
  onError: 'deny',
  timeout: '20ms',
};
new RateLimiter('fleet', { limit: 1, window: '1s', scope });
const machine: MachineScope = { shared: '/dev/shm/api', onMismatch: 'reconfigure' };
new RateLimiter('machine', { limit: 1, window: '1s', scope: machine });
expect<Equal<ReturnType<typeof limiter.stats>['machine'], MachineStats | undefined>>();
expect<Equal<MachineStats['attached'], { pid: number; since: number }[]>>();
expect<Equal<ReturnType<typeof RateLimiter.destroy>, boolean>>();
RateLimiter.destroy('machine', { everywhere: true });
new RateLimiter('held', { limit: 1, window: '1s', scope: { redis: 'redis://host', mode: 'lease' } });
// @ts-expect-error no such mode
new RateLimiter('fleet', { limit: 1, window: '1s', scope: { redis: 'redis://host', mode: 'fast' } });
limiter.consumeMany(['a', 'b'] as const, 2);
limiter.handle('a').tryConsume(2);
limiter.refund('a');
limiter.penalize('a', 3);
limiter.reconfigure({ limit: 200 });
expect<Equal<ReturnType<typeof limiter.block>, boolean>>();
limiter.block('a', '1h');
expect<Equal<ReturnType<typeof RateLimiter.destroy>, boolean>>();
// @ts-expect-error a name is needed
new RateLimiter({ limit: 1, window: '1s' });
// @ts-expect-error a window is needed
new RateLimiter('api', { limit: 1 });
// @ts-expect-error misspelt
new RateLimiter('api', { limit: 1, window: '1s', brust: 2 });
// @ts-expect-error no such policy
new RateLimiter('api', { limit: 1, window: '1s', overflow: 'drop' });
// @ts-expect-error a directory, or true
new RateLimiter('api', { limit: 1, window: '1s', scope: { shared: false } });
// @ts-expect-error no such way
new RateLimiter('api', { limit: 1, window: '1s', scope: { shared: true, onMismatch: 'ignore' } });
// @ts-expect-error keys are strings
limiter.tryConsume(1);
// @ts-expect-error size is read-only
limiter.size = 0;
// @ts-expect-error a block needs a duration
limiter.block('a');

// Algorithms and several limits
const algorithm = 'gcra' as Algorithm;
const limits: LimitOptions[] = [
  { limit: 10, window: '1s', burst: 20 },
  { name: 'daily', limit: 1000, window: '1d', algorithm: 'fixed-window' },
  { limit: 1, window: 1_000, algorithm },
];
new RateLimiter('windows', { limit: 1, window: '1s', algorithm: 'sliding-window', maxKeys: 5, dryRun: true });
new RateLimiter('any', { limit: 1, window: '1s', algorithm });
new RateLimiter('several', { limits, overflow: 'deny', scope: 'process' });
new RateLimiter('several', { limits: [{ limit: 1, window: '1s' }] as const });
limiter.reconfigure({ limits });
limiter.reconfigure({ burst: 5 });
limiter.reconfigure({ dryRun: true });
// @ts-expect-error window algorithms have no burst
new RateLimiter('windows', { limit: 1, window: '1s', burst: 1, algorithm: 'fixed-window' });
// @ts-expect-error window algorithms have no burst
limits.push({ limit: 1, window: '1s', burst: 1, algorithm: 'sliding-window' });
// @ts-expect-error limit cannot be combined with limits
new RateLimiter('both', { limit: 1, window: '1s', limits });
// @ts-expect-error algorithm belongs on an entry of limits
new RateLimiter('both', { limits, algorithm: 'gcra' });
// @ts-expect-error limit or limits is needed
new RateLimiter('none', { maxKeys: 5 });
// @ts-expect-error no such algorithm
new RateLimiter('none', { limit: 1, window: '1s', algorithm: 'leaky-bucket' });
// @ts-expect-error a window is needed
limits.push({ limit: 1 });
// @ts-expect-error misspelt
limits.push({ limit: 1, window: '1s', brust: 2 });
// @ts-expect-error maxKeys belongs to the limiter
limits.push({ limit: 1, window: '1s', maxKeys: 2 });
// @ts-expect-error a single limit takes the limiter's name
new RateLimiter('api', { name: 'api', limit: 1, window: '1s' });
// @ts-expect-error limit cannot be combined with limits
limiter.reconfigure({ limit: 5, limits });
// @ts-expect-error window algorithms have no burst
limiter.reconfigure({ burst: 5, algorithm: 'fixed-window' });

// clientKey
expect<Equal<ReturnType<typeof clientKey>, string>>();
clientKey('2001:db8::1', { ipv6Prefix: 56 });
// @ts-expect-error the address of a socket may be undefined, which must be handled first
clientKey(undefined as string | undefined);

// Errors
try {
  limiter.tryConsume('');
} catch (error) {
  if (error instanceof SluiceError) {
    expect<Equal<typeof error.code, SluiceErrorCode>>();
    if (error.code === 'ERR_SLUICE_INVALID_KEY') console.error(error.name, error.message, error.cause);
    // @ts-expect-error no such code
    if (error.code === 'ERR_SLUICE_OOPS') throw error;
  }
}

// listen
const { port } = await listen(createHttp(), { port: 0, host: '127.0.0.1', backlog: 64 });
expect<Equal<typeof port, number>>();
// @ts-expect-error a port is needed
await listen(createTcp(), {});

// The test clock
{
  using clock = manualClock();
  manualClock({ follow: 'timers' }).restore();
  // @ts-expect-error it follows timers, or nothing
  manualClock({ follow: 'date' });
  expect<Equal<typeof clock, ManualClock>>();
  clock.set(1_000);
  clock.advance('1m');
  expect<Equal<typeof clock.now, number>>();
  // @ts-expect-error no such duration
  clock.advance('soon');
}

// Between tests
expect<Equal<ReturnType<typeof reset>, void>>();
// @ts-expect-error reset() takes no name
reset('api');

// onMismatch
const onMismatch = 'reconfigure' as OnMismatch;
expect<Equal<OnMismatch, 'error' | 'reconfigure'>>();
new RateLimiter('api', { limit: 1, window: '1s', onMismatch });
new RateLimiter('api', { limits, onMismatch });
new ConnectionTracker('sockets', { max: 1, onMismatch });
new Reputation('logins', {
  maxFailures: 5,
  findTime: '10m',
  banTime: '1m',
  maxBanTime: '1d',
  onMismatch,
});
new SecurityMonitor('security', { rules: [], onMismatch });
new CircuitBreaker('upstreams', { openFor: '1s', onMismatch });
new CircuitBreaker('upstreams', { errorFilter: () => true, onMismatch });
new ClientHub('keys', { onMismatch });
new Broker('app', { onMismatch });
new Registry('config', { onMismatch });
new Lifecycle('app', { onMismatch });
// @ts-expect-error no such value of onMismatch
new RateLimiter('api', { limit: 1, window: '1s', onMismatch: 'ignore' });
// @ts-expect-error no such value of onMismatch
new Registry('config', { onMismatch: true });
// @ts-expect-error reconfigure() does not take onMismatch
limiter.reconfigure({ limit: 1, onMismatch });
