// Cases: bans and circuits of other packages.
import { BlockList } from 'node:net';
import { addresses } from './keys.mjs';
import {
  fail,
  PEERS,
  ranges,
  rejecting,
  succeed,
  TIMEOUT_MS,
  waitAndFail,
  waitAndSucceed,
} from './traffic.mjs';

/** Options with which a circuit never has enough calls to open. */
const FASTEST = { rollingPercentilesEnabled: false, volumeThreshold: Number.MAX_SAFE_INTEGER };

/** Maps each client to the end of its ban; all have ended. */
export function mapOfBans() {
  const ends = new Map(addresses().map((ip) => [ip, performance.now()]));
  return { call: (ip) => ends.get(ip) <= performance.now() };
}

/** Clients are not called beforehand, as one look-up takes too long. */
export function blockList() {
  const list = new BlockList();
  for (const range of ranges(10_000)) {
    const [network, prefix] = range.split('/');
    list.addSubnet(network, Number(prefix));
  }
  return { call: (ip) => !list.check(ip), first: [] };
}

/** With its default options. */
export function opossum() {
  return opossumOf(succeed);
}

/** Without the latency percentiles that it keeps by default: its fastest setting. */
export function opossumWithoutPercentiles() {
  return opossumOf(succeed, FASTEST);
}

export function opossumWaiting() {
  return opossumOf(waitAndSucceed, FASTEST);
}

export async function opossumFailing() {
  return rejecting(await opossumOf(fail, FASTEST));
}

export async function opossumWaitingAndFailing() {
  return rejecting(await opossumOf(waitAndFail, FASTEST));
}

export function opossumWithoutTimeout() {
  return opossumOf(succeed, { ...FASTEST, timeout: false });
}

/** With an enforced timeout, as the others have. */
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
