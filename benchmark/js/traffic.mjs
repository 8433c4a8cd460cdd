// Functions, targets and ranges that all contenders are called with.

/** The timeout of a call, for all contenders that enforce one. */
export const TIMEOUT_MS = 10_000;

/** Made once, as the cost of making an error is not measured. */
const FAILURE = new Error('the peer is down');

export async function succeed() {
  return true;
}

/** Its promise rejects before a handler is attached, which V8 reports to Node.js; that is most of the cost of the call. */
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

/** Turns calls that must reject with `FAILURE` into calls that resolve with whether they did. */
export function rejecting({ call, ...opened }) {
  const isFailure = (error) => error === FAILURE;
  return { ...opened, call: (item) => call(item).then(undefined, isFailure) };
}

/** Few targets, as other packages need an object for each. */
export const PEERS = Array.from({ length: 10 }, (_, i) => `https://peer-${i}.example`);

/** Distinct IPv4 ranges, /16 to /28, that contain no client. */
export function ranges(count) {
  const prefixes = [16, 20, 24, 28];
  return Array.from({ length: count }, (_, i) => {
    const prefix = prefixes[i % prefixes.length];
    return `${40 + (i >> 8)}.${i & 255}.${prefix > 16 ? 16 : 0}.0/${prefix}`;
  });
}
