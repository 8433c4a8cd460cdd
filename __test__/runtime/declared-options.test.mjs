// Options are declared in Rust. Their documented defaults are written by hand, and must be the same.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import layouts from '../../lib/runtime/layouts.js';

/** Where the types of each owner's options are. */
const TYPES = {
  Broker: 'broker',
  CircuitBreaker: 'circuit-breaker',
  ConnectionTracker: 'connection-tracker',
  RateLimiter: 'rate-limiter',
  Reputation: 'reputation',
  SecurityMonitor: 'security-monitor',
};

/** `{ option: default }` of what `@default` says in a file of types. */
function documentedDefaults(folder) {
  const types = readFileSync(new URL(`../../lib/${folder}/index.d.ts`, import.meta.url), 'utf8');
  const found = types.matchAll(/@default (.+?)(?: \*\/|\n\s*\*\/)\n\s*(\w+)\?:/g);
  return Object.fromEntries([...found].map(([, value, option]) => [option, value]));
}

/** A declared default as the types write it. */
function written(value) {
  if (typeof value === 'string') return `'${value}'`;
  return String(value).replaceAll(/\B(?=(\d{3})+$)/g, '_');
}

for (const [owner, folder] of Object.entries(TYPES)) {
  test(`${owner}: each documented default is the declared one`, () => {
    const documented = documentedDefaults(folder);
    const declared = Object.entries(layouts.OPTIONS[owner]).filter(([, option]) => 'default' in option);
    assert.ok(declared.length > 0);
    for (const [name, option] of declared) assert.equal(documented[name], written(option.default), name);
  });
}
