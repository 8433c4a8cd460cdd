// The types of Registry and ClientHub: each line under @ts-expect-error must not compile.
import { ClientHub, type ClientHubStats, type GetOrInitOptions, Registry, type RegistryValue } from 'sluice';
import { type Equal, expect } from './equal.mjs';

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
// @ts-expect-error a Date is not a value
registry.set('since', new Date());
// @ts-expect-error a function is not a value
registry.set('now', Date.now);
// @ts-expect-error a Map is not a value
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
// @ts-expect-error values are frozen
upstream.weights.push(2);
// @ts-expect-error the value may be undefined
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
// @ts-expect-error ttl must return a duration
hub.getOrInit('k', async () => ({ kid: 'k', secrets: [] }), { ttl: (value) => value.kid });
// @ts-expect-error the value may be undefined
hub.get('k').kid;
// @ts-expect-error undefined is not a value
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
