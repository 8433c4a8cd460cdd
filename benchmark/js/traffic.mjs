// What circuits, lists and events are asked about, the same for all.

/** Of a call, for all who end one in time. */
export const TIMEOUT_MS = 10_000;

/** Made once: what it costs to make an error is not what is measured. */
const FAILURE = new Error('the peer is down');

export async function succeed() {
  return true;
}

/** Its promise has failed before anybody can attend to it, of which V8 tells Node.js: that costs most of the call. */
export async function fail() {
  throw FAILURE;
}

export async function waitAndSucceed() {
  await undefined;
  return true;
}

export async function waitAndFail() {
  await undefined;
  throw FAILURE;
}

/** Calls that are to reject with what the peer failed with, and nothing else. */
export function inVain({ call, ...opened }) {
  const isAsFailed = (error) => error === FAILURE;
  return { ...opened, call: (item) => call(item).then(undefined, isAsFailed) };
}

/** Few, as others want an object for each. */
export const PEERS = Array.from({ length: 10 }, (_, i) => `https://peer-${i}.example`);

/** Different ranges of IPv4, /16 to /28, of which none holds a client of ours. */
export function ranges(count) {
  const prefixes = [16, 20, 24, 28];
  return Array.from({ length: count }, (_, i) => {
    const prefix = prefixes[i % prefixes.length];
    return `${40 + (i >> 8)}.${i & 255}.${prefix > 16 ? 16 : 0}.0/${prefix}`;
  });
}
