// Clients that do not wait for each other, in a process of their own.
import { createRequire } from 'node:module';
import { answerWith } from '../child.mjs';

const { offer } = createRequire(import.meta.url)('../../examples/overload/clients.js');

const PATIENCE_MS = 1000;
/** What is offered before the rules have settled is not counted. */
const SETTLING_MS = 2000;

const MIX = ['high', 'high', ...Array(6).fill('normal'), 'low', 'low'].map((kind) => ({
  kind,
  method: 'GET',
  path: `/${kind}`,
}));

answerWith(async ({ port, perSecond, seconds }) => {
  const from = performance.now() + SETTLING_MS;
  const all = await offer(port, MIX, {
    perSecond,
    seconds: seconds + SETTLING_MS / 1000,
    patienceMs: PATIENCE_MS,
  });
  const counted = all.filter(({ at }) => at >= from);
  const good = counted.filter(({ status, ms }) => status === 200 && ms <= PATIENCE_MS);
  const p99 = (answers) => {
    const times = answers.map(({ ms }) => ms).sort((a, b) => a - b);
    return times[Math.floor(0.99 * times.length)] ?? null;
  };
  const of = (kind, answers) => answers.filter((one) => one.kind === kind);
  const share = (kind) => of(kind, good).length / of(kind, counted).length;
  return {
    goodput: good.length / seconds,
    p99: p99(good),
    highP99: p99(of('high', good)),
    served: { high: share('high'), normal: share('normal'), low: share('low') },
  };
});
