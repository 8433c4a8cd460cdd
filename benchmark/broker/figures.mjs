// The answer of this part on the short page.
import { median, ratio } from '../statistics.mjs';
import { RPC, SLUICE } from './contenders.mjs';
import { TWO_CORES } from './placement.mjs';
import { find, HUNDRED, ONE_AT_A_TIME } from './results.mjs';

/** None where threads cannot be kept on cores. */
export function figures(results) {
  const of = (name, load) => find(results, TWO_CORES, name, load);
  const [busy, busyRpc] = [of(SLUICE, HUNDRED), of(RPC, HUNDRED)];
  const [single, singleRpc] = [of(SLUICE, ONE_AT_A_TIME), of(RPC, ONE_AT_A_TIME)];
  if ([busy, busyRpc, single, singleRpc].includes(undefined)) return [];
  return [
    {
      question: 'What does a call to another thread cost?',
      answer: `${(median(busy.perSecond) / 1000).toFixed(0)} 000 calls per second with 100 in flight; one at a time takes ${median(single.p50).toFixed(1)} µs`,
      beside: `\`MessagePort\` with a map and promises: ${ratio(busyRpc.perSecond, busy.perSecond).toFixed(2)} × the calls; one at a time ${ratio(singleRpc.p50, single.p50).toFixed(1)} × as long`,
    },
  ];
}
