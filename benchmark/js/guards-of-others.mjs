// The same by others, open for measuring.
import { BlockList } from 'node:net';
import { addresses } from './keys.mjs';
import { fail, inVain, PEERS, ranges, succeed, TIMEOUT_MS, waitAndFail, waitAndSucceed } from './traffic.mjs';

/** It never has enough calls to open. */
const FASTEST = { rollingPercentilesEnabled: false, volumeThreshold: Number.MAX_SAFE_INTEGER };

/** When the ban of each client ends: all did. */
export function mapOfBans() {
  const ends = new Map(addresses().map((ip) => [ip, performance.now()]));
  return { call: (ip) => ends.get(ip) <= performance.now() };
}

/** One look takes so long that clients are not made known. */
export function blockList() {
  const list = new BlockList();
  for (const range of ranges(10_000)) {
    const [network, prefix] = range.split('/');
    list.addSubnet(network, Number(prefix));
  }
  return { call: (ip) => !list.check(ip), first: [] };
}

/** As it comes. */
export function opossum() {
  return opossumOf(succeed);
}

/** Without percentiles of latency, which it keeps by default: its fastest setting. */
export function opossumWithoutPercentiles() {
  return opossumOf(succeed, FASTEST);
}

export function opossumWaiting() {
  return opossumOf(waitAndSucceed, FASTEST);
}

export async function opossumFailing() {
  return inVain(await opossumOf(fail, FASTEST));
}

export async function opossumWaitingAndFailing() {
  return inVain(await opossumOf(waitAndFail, FASTEST));
}

export function opossumWithoutTimeout() {
  return opossumOf(succeed, { ...FASTEST, timeout: false });
}

/** Its timeouts are enforced, as those of the others. */
export async function cockatiel() {
  const { timeout, TimeoutStrategy, wrap } = await import('cockatiel');
  return cockatielOf((circuit) => wrap(circuit, timeout(TIMEOUT_MS, TimeoutStrategy.Aggressive)));
}

export function cockatielWithoutTimeout() {
  return cockatielOf((circuit) => circuit);
}

async function cockatielOf(policyOf) {
  const { circuitBreaker, handleAll, SamplingBreaker } = await import('cockatiel');
  const open = () => {
    const breaker = new SamplingBreaker({ threshold: 0.5, duration: TIMEOUT_MS });
    return policyOf(circuitBreaker(handleAll, { halfOpenAfter: TIMEOUT_MS, breaker }));
  };
  const policies = new Map(PEERS.map((peer) => [peer, open()]));
  return { items: PEERS, isAsync: true, call: (peer) => policies.get(peer).execute(succeed) };
}

async function opossumOf(fn, options) {
  const { default: CircuitBreaker } = await import('opossum');
  const open = () => new CircuitBreaker(fn, { timeout: TIMEOUT_MS, resetTimeout: TIMEOUT_MS, ...options });
  const circuits = new Map(PEERS.map((peer) => [peer, open()]));
  return { items: PEERS, isAsync: true, call: (peer) => circuits.get(peer).fire() };
}
