// The types of CircuitBreaker, Broker and Lifecycle: each line under @ts-expect-error must not compile.
import { createServer as createHttp } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createTcp } from 'node:net';
import {
  type BreakerOpenError,
  Broker,
  CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitChange,
  type CircuitState,
  type CircuitStats,
  Lifecycle,
  type LifecycleState,
  type LifecycleToken,
  type Permit,
  type ShutdownReport,
} from 'sluice';
import { type Equal, expect } from './equal.mjs';

// CircuitBreaker
const breakerOptions: CircuitBreakerOptions = {
  failureRate: 0.5,
  slowCallDuration: '2s',
  slowCallRate: 0.8,
  minimumCalls: 20,
  window: { time: '10s' },
  openFor: '5s',
  backoff: 2,
  maxOpenFor: '1m',
  jitter: 0.2,
  halfOpenCalls: 3,
  timeout: 500,
  maxPeers: 100,
  errorFilter: (error) => error instanceof TypeError,
};
const breaker = new CircuitBreaker('upstreams', breakerOptions);
new CircuitBreaker('upstreams');
new CircuitBreaker('upstreams', { errorFilter: () => true });
new CircuitBreaker('upstreams', { errorFilter: (error) => (error === null ? 'ignore' : false) });
// @ts-expect-error errorFilter must return a boolean or "ignore"
new CircuitBreaker('upstreams', { errorFilter: () => 'skip' });
// @ts-expect-error openFor is required
new CircuitBreaker('upstreams', { timeout: 500 });
// @ts-expect-error calls cannot be combined with time
new CircuitBreaker('upstreams', { openFor: '5s', window: { calls: 10, time: '1s' } });
// @ts-expect-error calls or time is needed
new CircuitBreaker('upstreams', { openFor: '5s', window: {} });

const fired = breaker.fire('db', async (signal) => {
  expect<Equal<typeof signal, AbortSignal>>();
  return 5;
});
expect<Equal<typeof fired, Promise<number>>>();
expect<Equal<ReturnType<typeof breaker.fire<string>>, Promise<string>>>();
// @ts-expect-error not a function
breaker.fire('db', Promise.resolve(5));
breaker.fire('db', async () => 5, { signal: new AbortController().signal });
// @ts-expect-error a controller is not a signal
breaker.fire('db', async () => 5, { signal: new AbortController() });
breaker.wrap('db', async (id: number) => id, { signal: new AbortController().signal });
const wrapped = breaker.wrap('db', async (id: number, label: string) => `${id} ${label}`);
expect<Equal<typeof wrapped, (id: number, label: string) => Promise<string>>>();
const one = breaker.wrap('db', async (id: number) => id);
expect<Equal<Parameters<typeof one>, [id: number]>>();
const none = breaker.wrap('db', () => 'value');
expect<Equal<Awaited<ReturnType<typeof none>>, string>>();
none();
const aborting = breaker.wrap('db', async (id: number, signal: AbortSignal) => [id, signal.aborted] as const);
const aborted: Promise<readonly [number, boolean]> = aborting(7);
void aborted;
// @ts-expect-error an argument is missing
wrapped(5);
const sameBreaker: CircuitBreaker = breaker
  .fallback((error, peer) => `${error} ${peer.length}`)
  .on('open', (change) => expect<Equal<typeof change, CircuitChange>>())
  .once('halfOpen', ({ openForMs }) => expect<Equal<typeof openForMs, number | undefined>>());
// @ts-expect-error no such event
sameBreaker.on('closed', () => {});

const permit = breaker.tryAcquire('db');
expect<Equal<typeof permit, Permit | null>>();
// @ts-expect-error the permit may be null
permit.success();
permit?.success(12.5);
permit?.failure(new Error('refused'));
permit?.release();
expect<Equal<ReturnType<typeof breaker.state>, CircuitState>>();
const circuit: CircuitStats = breaker.stats('db');
const openCircuits: number = breaker.stats().peers.open + circuit.calls;
const circuits: Record<string, CircuitStats> = breaker.toJSON().circuits;
void [openCircuits, circuits];
const refusal = (error: BreakerOpenError) => error.retryAfterMs?.toFixed();
void refusal;

// Broker: the caller declares the types of payloads; they are not checked.
const broker = new Broker<{ zone: string }>('app', { id: 'main', metadata: { zone: 'a' }, inbox: 100 });
broker.handle('add', ({ a, b }: { a: number; b: number }, { from, signal, deadline, id }) => {
  const context: [string, AbortSignal, number, number] = [from, signal, deadline, id];
  return context.length + a + b;
});
const sum: Promise<number> = broker.call<number>('add', { a: 1, b: 2 }, { timeout: '1s', to: 'other' });
const unknownSum: Promise<unknown> = broker.call('add');
broker.on('message', (payload: { n: number }, { from }) => [payload.n.toFixed(), from.length]);
broker.on('peerJoin', ({ id, metadata }) => [id.length, metadata?.zone.length]);
const spawned = broker.spawn('./worker.js', { count: 2, resourceLimits: { maxOldGenerationSizeMb: 64 } });
spawned.then((group) => group.restart({ timeout: '5s' }));
// @ts-expect-error an endpoint is a string
broker.call(5);
// @ts-expect-error no such event
broker.on('mesage', () => {});
// @ts-expect-error no such option
new Broker('app', { bound: 5 });
export const ofBroker = [
  sum,
  unknownSum,
  broker.broadcast(1),
  broker.peers()[0]?.load,
  broker.stats().thread.late,
  broker.stats().undecodable,
];

// Lifecycle
const lifecycle = new Lifecycle('app').ready();
const lifecycleState: LifecycleState = lifecycle.state;
const token: LifecycleToken = lifecycle.child('jobs').child('mail');
lifecycle.attach(createHttp()).attach(createTcp()).attach(createSecureServer());
lifecycle.onShutdown(async ({ reason }) => reason?.length, { name: 'pool', timeout: '5s', when: 'drained' });
const trackedPromise: Promise<number> = lifecycle.track(Promise.resolve(1));
const trackedWork: Promise<boolean> = token.track(async (signal) => signal.aborted);
const shutdownReport: ShutdownReport = await lifecycle.shutdown({
  reason: 'test',
  timeout: 0,
  delay: '5s',
  hooksTimeout: '10s',
});
expect<Equal<typeof shutdownReport.hooksMs, number>>();
expect<Equal<typeof shutdownReport.connectionsReset, number>>();
expect<Equal<(typeof shutdownReport.perThread)[string]['hooksMs'], number>>();
lifecycle.handleSignals({ hooksTimeout: 5_000 })();
for (const hook of shutdownReport.hooks) {
  if (!hook.ok) console.log(hook.name, hook.error.message);
}
const stillHere: boolean | undefined = shutdownReport.perThread['0']?.responded;
const uninstall: () => void = lifecycle.handleSignals({ signals: ['SIGTERM'], exit: false, timeout: '5s' });
const health = lifecycle.health({ readyPath: '/ready' });
createHttp((req, res) => health(req, res) || res.end());
lifecycle.on('change', ({ state }) => state === 'draining');
// @ts-expect-error no such option
new Lifecycle('app', { timeout: 1 });
// @ts-expect-error no such event
lifecycle.on('state', () => {});
// @ts-expect-error neither a promise nor a function
lifecycle.track(1);
// @ts-expect-error no such value of when
lifecycle.onShutdown(() => {}, { when: 'later' });
// @ts-expect-error the outcome of a hook has no reason
shutdownReport.hooks[0].reason;
console.log(lifecycleState, trackedPromise, trackedWork, stillHere, uninstall);
