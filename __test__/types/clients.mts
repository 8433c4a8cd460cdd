// The types of ConnectionTracker, Reputation and SecurityMonitor: each line under @ts-expect-error must not compile.
import { createServer as createHttp } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createTcp } from 'node:net';
import {
  type Ban,
  type BanBegun,
  type BanCause,
  type BanChange,
  type Connection,
  type ConnectionRefusal,
  ConnectionTracker,
  type ConnectionTrackerOptions,
  type ConnectionTrackerStats,
  type FleetConnectionsStats,
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
  type Verdict,
} from 'sluice';
import { type Equal, expect } from './equal.mjs';

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
new ConnectionTracker('machine', { max: 5, scope: { shared: true, onMismatch: 'reconfigure' } });
const ofFleet = new ConnectionTracker('fleet', { max: 5, scope: { redis: 'redis://host', onError: 'deny' } });
expect<Equal<ReturnType<typeof ofFleet.tryOpenAsync>, Promise<Connection | null>>>();
expect<Equal<ReturnType<typeof ofFleet.ready>, Promise<void>>>();
expect<Equal<ConnectionTrackerStats['fleet'], FleetConnectionsStats | undefined>>();
// @ts-expect-error no such way to decide
new ConnectionTracker('fleet', { scope: { redis: 'redis://host', onError: 'pass' } });
ConnectionTracker.destroy('machine', { everywhere: true });
expect<Equal<ConnectionTrackerStats['processes'], number | undefined>>();
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
// @ts-expect-error Connection is a type only
new Connection();
// @ts-expect-error a function is not a value
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
  persist: { path: '/var/lib/app/bans', every: '30s' },
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
new Reputation('logins', { ...rules, persist: { path: new URL('file:///var/lib/app/bans') } });
// @ts-expect-error a file has a path
new Reputation('logins', { ...rules, persist: { every: '30s' } });
reputation
  .on('ban', (ban) => expect<Equal<typeof ban, BanBegun>>())
  .once('expire', (ban) => {
    expect<Equal<typeof ban, BanChange>>();
    expect<Equal<typeof ban.by, BanCause>>();
    expect<Equal<typeof ban.until, number>>();
  });
reputation.off('unban', (ban: BanChange) => ban.client);
// @ts-expect-error no such event
reputation.on('banned', () => {});
// @ts-expect-error only a ban that begins may be an extended one
reputation.on('expire', (ban) => ban.extended);
// @ts-expect-error banTime and maxBanTime are needed
new Reputation('logins', { maxFailures: 5, findTime: '10m' });
// @ts-expect-error misspelt
new Reputation('logins', { ...rules, maxFailure: 3 });
// @ts-expect-error a ban needs a duration
reputation.ban('192.0.2.1');
// @ts-expect-error entries are strings
reputation.setLists({ allow: [10] });
// @ts-expect-error the address of a socket may be undefined, which must be handled first
reputation.isBanned(undefined as string | undefined);

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
// @ts-expect-error rules is needed
new SecurityMonitor('security', {});
// @ts-expect-error count is needed
securityRules.push({ event: 'probe', window: '1m', action: 'alert' });
// @ts-expect-error action is needed
securityRules.push({ event: 'probe', count: 5, window: '1m' });
// @ts-expect-error no such action
securityRules.push({ event: 'probe', count: 5, window: '1m', action: 'block' });
// @ts-expect-error misspelt
securityRules.push({ event: 'probe', count: 5, window: '1m', action: 'alert', muted: '1h' });
// @ts-expect-error a detail is a string
monitor.record('probe', '192.0.2.1', { path: '/' });
// @ts-expect-error no such event
monitor.on('ban', () => {});
