// What users of the types may write, and what they may not: each line under @ts-expect-error must not compile.
import { createServer as createHttp } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createTcp } from 'node:net';
import {
  type Algorithm,
  type Ban,
  type BreakerOpenError,
  Broker,
  CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitChange,
  type CircuitState,
  type CircuitStats,
  ClientHub,
  type ClientHubStats,
  type Connection,
  type ConnectionRefusal,
  ConnectionTracker,
  type ConnectionTrackerOptions,
  type ConnectionTrackerStats,
  clientKey,
  type Decision,
  type Duration,
  type GetOrInitOptions,
  type KeyHandle,
  Lifecycle,
  type LifecycleState,
  type LifecycleToken,
  type LimitOptions,
  listen,
  type OnMismatch,
  type Permit,
  RateLimiter,
  type RateLimiterOptions,
  type RateLimiterStats,
  Registry,
  type RegistryValue,
  Reputation,
  type ReputationOptions,
  type ReputationStats,
  type SecurityAlert,
  type SecurityEvent,
  type SecurityHistory,
  SecurityMonitor,
  type SecurityMonitorStats,
  type SecurityRule,
  type ShutdownReport,
  SluiceError,
  type SluiceErrorCode,
  type Verdict,
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
expect<Equal<ReturnType<typeof limiter.handle>, KeyHandle>>();
expect<Equal<ReturnType<typeof limiter.stats>, RateLimiterStats>>();
expect<Equal<Decision['wouldRefuse'], boolean | undefined>>();
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
// @ts-expect-error of a later version
new RateLimiter('api', { limit: 1, window: '1s', scope: { shared: '/run/api' } });
// @ts-expect-error keys are texts
limiter.tryConsume(1);
// @ts-expect-error its size cannot be set
limiter.size = 0;
// @ts-expect-error a block has an end
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
// @ts-expect-error a window has no burst
new RateLimiter('windows', { limit: 1, window: '1s', burst: 1, algorithm: 'fixed-window' });
// @ts-expect-error nor has this one
limits.push({ limit: 1, window: '1s', burst: 1, algorithm: 'sliding-window' });
// @ts-expect-error one or several
new RateLimiter('both', { limit: 1, window: '1s', limits });
// @ts-expect-error it belongs in one of the limits
new RateLimiter('both', { limits, algorithm: 'gcra' });
// @ts-expect-error neither one nor several
new RateLimiter('none', { maxKeys: 5 });
// @ts-expect-error no such algorithm
new RateLimiter('none', { limit: 1, window: '1s', algorithm: 'leaky-bucket' });
// @ts-expect-error a window is needed
limits.push({ limit: 1 });
// @ts-expect-error misspelt
limits.push({ limit: 1, window: '1s', brust: 2 });
// @ts-expect-error clients are held by the limiter, not by a limit
limits.push({ limit: 1, window: '1s', maxKeys: 2 });
// @ts-expect-error a single limit has the limiter's name
new RateLimiter('api', { name: 'api', limit: 1, window: '1s' });
// @ts-expect-error one or several
limiter.reconfigure({ limit: 5, limits });
// @ts-expect-error a window has no burst
limiter.reconfigure({ burst: 5, algorithm: 'fixed-window' });

// clientKey
expect<Equal<ReturnType<typeof clientKey>, string>>();
clientKey('2001:db8::1', { ipv6Prefix: 56 });
// @ts-expect-error an address may be missing on a socket, and must be looked at first
clientKey(undefined as string | undefined);

// ConnectionTracker
const caps: ConnectionTrackerOptions = {
  max: 1_000,
  maxPerClient: 10,
  opens: { limit: 60, window: '1m' },
  messages: { limit: 10, window: '1s' },
  bytes: { limit: 65_536, window: '1s', burst: 131_072 },
  idleTimeout: '5m',
};
const tracker = new ConnectionTracker('sessions', caps);
new ConnectionTracker('unlimited', {});
new ConnectionTracker('tokens', { clients: 'opaque', max: 5 });
const session = { id: 'one', detail: { user: 7, roles: ['admin'] }, onClose: () => {} };
const connection = tracker.tryOpen('192.0.2.1', session);
expect<Equal<typeof connection, Connection | null>>();
if (connection?.tryMessage(512)) connection.touch();
expect<Equal<Connection['client'], string | null>>();
expect<Equal<Connection['detail'], RegistryValue>>();
expect<Equal<ReturnType<typeof tracker.get>, Connection | undefined>>();
expect<Equal<ReturnType<typeof tracker.close>, boolean>>();
expect<Equal<ReturnType<typeof tracker.drain>, Promise<boolean>>>();
expect<Equal<ReturnType<typeof tracker.stats>, ConnectionTrackerStats>>();
expect<Equal<ReturnType<typeof tracker.closeIdle>, number>>();
tracker.list({ limit: 10, client: '192.0.2.1' }).map(({ id, openedAt }) => [id, openedAt]);
for (const server of [createTcp(), createHttp(), createSecureServer()]) {
  tracker.attach(server, {
    trustedProxies: ['10.0.0.0/8'],
    onRefused(socket, refusal) {
      expect<Equal<typeof refusal, ConnectionRefusal>>();
      socket.end(refusal.reason);
    },
  });
}
// @ts-expect-error a type only: trackers make them
new Connection();
// @ts-expect-error functions are no data
tracker.tryOpen('192.0.2.1', { detail: () => {} });
// @ts-expect-error no such option
new ConnectionTracker('sessions', { maximum: 5 });
// @ts-expect-error a quota needs its window
new ConnectionTracker('sessions', { opens: { limit: 60 } });

// Reputation
const rules: ReputationOptions = {
  maxFailures: 5,
  findTime: '10m',
  banTime: 60_000,
  banFactor: 1.5,
  maxBanTime: '1d',
  jitter: 0.1,
  allow: ['10.0.0.0/8'],
  deny: ['2001:db8::/32'] as const,
  maxClients: 1_000,
};
const reputation = new Reputation('logins', rules);
new Reputation('logins');
expect<Equal<ReturnType<typeof reputation.isBanned>, boolean>>();
expect<Equal<ReturnType<typeof reputation.check>, Verdict>>();
expect<Equal<ReturnType<typeof reputation.bans>, Ban[]>>();
expect<Equal<ReturnType<typeof reputation.stats>, ReputationStats>>();
expect<Equal<Verdict['until'], number | null>>();
expect<Equal<Verdict['rule'], 'none' | 'ban' | 'deny' | 'allow'>>();
expect<Equal<typeof verdict, Verdict>>();
const verdict = reputation.recordFailure('192.0.2.1', { weight: 2, reason: 'wrong password' });
reputation.recordFailure('192.0.2.1');
reputation.recordSuccess('192.0.2.1');
reputation.ban('10.0.0.0/8', { duration: Infinity, reason: 'abuse' });
reputation.ban('192.0.2.1', { duration: '1h' });
if (reputation.unban('192.0.2.1')) reputation.setLists({ allow: [], deny: ['192.0.2.1'] });
reputation.save('/var/lib/app/bans');
reputation.load(new URL('file:///var/lib/app/bans'));
// @ts-expect-error how long is it to last
new Reputation('logins', { maxFailures: 5, findTime: '10m' });
// @ts-expect-error misspelt
new Reputation('logins', { ...rules, maxFailure: 3 });
// @ts-expect-error a ban has a length
reputation.ban('192.0.2.1');
// @ts-expect-error texts
reputation.setLists({ allow: [10] });
// @ts-expect-error an address may be missing on a socket, and must be looked at first
reputation.isBanned(undefined as string | undefined);

// Registry
const registry = new Registry('config');
expect<Equal<ReturnType<typeof registry.set>, number>>();
registry.set('flags', { beta: true, cohorts: [1, 2n, null, undefined] });
const copied: RegistryValue = registry.get('flags');
registry.set('copy', copied);
registry.replaceAll({ a: 1 });
registry.replaceAll(new Map([['a', 1]]));
registry.replaceAll(registry.snapshot());
registry
  .on('change', ({ key, version, missed = 0 }) => [key.length, version, missed])
  .off('change', () => {});
for (const [key, value] of registry) expect<Equal<typeof key, string>>(value);
// @ts-expect-error dates are no data
registry.set('since', new Date());
// @ts-expect-error functions are no data
registry.set('now', Date.now);
// @ts-expect-error nor are maps
registry.set('map', new Map());
// @ts-expect-error no such event
registry.on('changed', () => {});
// @ts-expect-error no such option
new Registry('config', { maxKeys: 3 });

interface Upstream {
  url: string;
  weights: number[];
}
const upstreams = new Registry<Upstream>('upstreams');
upstreams.set('eu', { url: 'https://eu.example', weights: [1] });
const upstream = upstreams.getOrThrow('eu');
expect<Equal<typeof upstream.url, string>>();
expect<Equal<typeof upstream.weights, readonly number[]>>();
upstreams.update('eu', (old) => ({ url: '', ...old, weights: [...(old?.weights ?? []), 2] }));
upstreams.set('us', upstream);
// @ts-expect-error what is read is frozen
upstream.weights.push(2);
// @ts-expect-error there may be no value
upstreams.get('eu').url;
// @ts-expect-error not an Upstream
upstreams.set('eu', { url: 'https://eu.example' });

const snapshot = upstreams.snapshot();
expect<Equal<typeof snapshot.version, number>>();
expect<Equal<ReturnType<typeof snapshot.get>, typeof upstream | undefined>>();
const readable: ReadonlyMap<string, unknown> = snapshot;
readable.forEach((value, key) => {
  expect<Equal<typeof key, string>>(value);
});
// @ts-expect-error a snapshot cannot be changed
snapshot.set('eu', upstream);

// ClientHub
interface Keys {
  kid: string;
  secrets: number[];
}
const hub = new ClientHub<Keys>('keys', { maxEntries: 100, maxBytes: 1_000_000 });
new ClientHub('keys');
const hubOptions: GetOrInitOptions = {
  ttl: '1m',
  staleWhileRevalidate: '10s',
  staleIfError: '1h',
  retryAfter: 500,
  timeout: 500,
};
const made = hub.getOrInit(
  'k',
  async (signal) => {
    expect<Equal<typeof signal, AbortSignal>>();
    return { kid: 'k', secrets: [1] };
  },
  hubOptions,
);
expect<Equal<Awaited<typeof made>['secrets'], readonly number[]>>();
hub.getOrInit('k', () => ({ kid: 'k', secrets: [] }), { signal: new AbortController().signal });
// @ts-expect-error not Keys
hub.getOrInit('k', async () => ({ kid: 'k' }));
hub.getOrInit('k', async () => ({ kid: 'k', secrets: [] }), {
  ttl: (value) => value.kid.length,
  staleWhileRevalidate: ({ secrets }) => (secrets.length > 0 ? '5s' : 0),
});
// @ts-expect-error: no duration
hub.getOrInit('k', async () => ({ kid: 'k', secrets: [] }), { ttl: (value) => value.kid });
// @ts-expect-error there may be no value
hub.get('k').kid;
// @ts-expect-error undefined is no value
new ClientHub('any').getOrInit('k', () => undefined);
expect<Equal<ReturnType<typeof hub.invalidate>, boolean>>();
const live = hub.client('k', async () => ({ kid: 'k', secrets: [1] }), {
  ...hubOptions,
  revive: ({ secrets }) => new Set(secrets),
  dispose: (set) => expect<Equal<typeof set, Set<number>>>(),
});
expect<Equal<typeof live.value, Set<number> | undefined>>();
expect<Equal<ReturnType<typeof live.get>, Promise<Set<number>>>>();
const connecting = hub.client('k', async () => ({ kid: 'k', secrets: [1] }), {
  revive: async () => new Set([1]),
});
expect<Equal<ReturnType<typeof connecting.get>, Promise<Set<number>>>>();
expect<Equal<typeof connecting.value, Promise<Set<number>> | undefined>>();
const plain = hub.client('k', async () => ({ kid: 'k', secrets: [1] }));
expect<Equal<NonNullable<typeof plain.value>['secrets'], readonly number[]>>();
expect<Equal<ReturnType<typeof hub.stats>, ClientHubStats>>();

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
// @ts-expect-error: another answer
new CircuitBreaker('upstreams', { errorFilter: () => 'skip' });
// @ts-expect-error openFor is required
new CircuitBreaker('upstreams', { timeout: 500 });
// @ts-expect-error one window, not both kinds
new CircuitBreaker('upstreams', { openFor: '5s', window: { calls: 10, time: '1s' } });
// @ts-expect-error a window of nothing
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
// @ts-expect-error: a controller is no signal
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
// @ts-expect-error there may be none
permit.success();
permit?.success(12.5);
permit?.failure(new Error('refused'));
permit?.release();
expect<Equal<ReturnType<typeof breaker.state>, CircuitState>>();
const circuit: CircuitStats = breaker.stats('db');
const openCircuits: number = breaker.stats().peers.open + circuit.calls;
const told: Record<string, CircuitStats> = breaker.toJSON().circuits;
void [openCircuits, told];
const refusal = (error: BreakerOpenError) => error.retryAfterMs?.toFixed();
void refusal;

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
  expect<Equal<typeof clock, ManualClock>>();
  clock.set(1_000);
  clock.advance('1m');
  expect<Equal<typeof clock.now, number>>();
  // @ts-expect-error no such duration
  clock.advance('soon');
}

// Between tests
expect<Equal<ReturnType<typeof reset>, void>>();
// @ts-expect-error everything is reset
reset('api');

// onMismatch
const onMismatch = 'reconfigure' as OnMismatch;
expect<Equal<OnMismatch, 'error' | 'reconfigure'>>();
new RateLimiter('api', { limit: 1, window: '1s', onMismatch });
new RateLimiter('api', { limits, onMismatch });
new ConnectionTracker('sockets', { max: 1, onMismatch });
new Reputation('logins', { ...rules, onMismatch });
new SecurityMonitor('security', { rules: [], onMismatch });
new CircuitBreaker('upstreams', { openFor: '1s', onMismatch });
new CircuitBreaker('upstreams', { errorFilter: () => true, onMismatch });
new ClientHub('keys', { onMismatch });
new Broker('app', { onMismatch });
new Registry('config', { onMismatch });
new Lifecycle('app', { onMismatch });
// @ts-expect-error no such answer
new RateLimiter('api', { limit: 1, window: '1s', onMismatch: 'ignore' });
// @ts-expect-error no such answer
new Registry('config', { onMismatch: true });
// @ts-expect-error of a construction only
limiter.reconfigure({ limit: 1, onMismatch });

// SecurityMonitor
const securityRules: SecurityRule[] = [
  { event: 'login-failed', count: 5, window: '1m', action: 'alert' },
  { name: 'sweep', event: 'probe', count: 20, window: '10m', distinct: true, mute: '1h', action: 'ban' },
];
const monitor = new SecurityMonitor('security', {
  rules: securityRules,
  history: 500,
  reputation: 'clients',
  maxClients: 1_000,
});
new SecurityMonitor('security');
monitor.record('login-failed', '192.0.2.1');
monitor.record('login-failed', '192.0.2.1', 'alice');
expect<Equal<ReturnType<typeof monitor.history>, SecurityHistory>>();
for (const entry of monitor.history({ ip: '192.0.2.1', event: 'probe', limit: 5 })) {
  expect<Equal<typeof entry, SecurityEvent>>();
  expect<Equal<typeof entry.detail, string | undefined>>();
}
expect<Equal<SecurityHistory['forgotten'], number>>();
expect<Equal<ReturnType<typeof monitor.counts>, Record<string, number>>>();
monitor.countsFor('192.0.2.1')['login-failed']?.toFixed();
monitor.top({ limit: 3 }).map(({ client, count }) => [client, count]);
expect<Equal<ReturnType<typeof monitor.stats>, SecurityMonitorStats>>();
monitor
  .on('alert', (alert) => expect<Equal<typeof alert, SecurityAlert>>())
  .once('alert', ({ rule, client, count, at, missed = 0 }) => [rule, client, count, at, missed])
  .off('alert', () => {});
// @ts-expect-error rules are needed, if none
new SecurityMonitor('security', {});
// @ts-expect-error a rule counts
rules.push({ event: 'probe', window: '1m', action: 'alert' });
// @ts-expect-error a rule acts
rules.push({ event: 'probe', count: 5, window: '1m' });
// @ts-expect-error no such action
rules.push({ event: 'probe', count: 5, window: '1m', action: 'block' });
// @ts-expect-error misspelt
rules.push({ event: 'probe', count: 5, window: '1m', action: 'alert', muted: '1h' });
// @ts-expect-error a detail is a text
monitor.record('probe', '192.0.2.1', { path: '/' });
// @ts-expect-error no such event
monitor.on('ban', () => {});

// Broker: types of payloads are what the user says they are.
const broker = new Broker<{ zone: string }>('app', { id: 'main', metadata: { zone: 'a' }, inbox: 100 });
broker.handle('add', ({ a, b }: { a: number; b: number }, { from, signal, deadline, id }) => {
  const told: [string, AbortSignal, number, number] = [from, signal, deadline, id];
  return told.length + a + b;
});
const sum: Promise<number> = broker.call<number>('add', { a: 1, b: 2 }, { timeout: '1s', to: 'other' });
const unknownSum: Promise<unknown> = broker.call('add');
broker.on('message', (payload: { n: number }, { from }) => [payload.n.toFixed(), from.length]);
broker.on('peerJoin', ({ id, metadata }) => [id.length, metadata?.zone.length]);
const spawned = broker.spawn('./worker.js', { count: 2, resourceLimits: { maxOldGenerationSizeMb: 64 } });
spawned.then((group) => group.restart({ timeout: '5s' }));
// @ts-expect-error an endpoint is text
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
// @ts-expect-error no such moment
lifecycle.onShutdown(() => {}, { when: 'later' });
// @ts-expect-error a report is not an outcome of hooks
shutdownReport.hooks[0].reason;
console.log(lifecycleState, trackedPromise, trackedWork, stillHere, uninstall);
