// Rounds of every case, in a new order each time: noise affects all alike.
import v8 from 'node:v8';
import vm from 'node:vm';
import { addresses, inOrder } from '../js/keys.mjs';
import { calibrate, loopOver, processorMs } from '../js/rounds.mjs';
import { shuffled } from '../statistics.mjs';

/** Calls of one batch of new keys, and the keys that are ready; a power of two. */
const NEW_KEYS = 10_000;
const READY_KEYS = 1 << 14;
/** What stores are sized for. */
const CLIENTS = 20_000;

v8.setFlagsFromString('--expose-gc');
const collectGarbage = vm.runInNewContext('gc');

export const LOADS = { hot: 'one hot key', uniform: '10 000 keys', fresh: 'new keys' };

/** A case under a load; `batch(count)` makes the calls. */
export async function openCase(name, open, load) {
  const { call, forget, isAsync = true } = await open(CLIENTS);
  if (load === 'fresh') return freshCase(name, call, forget, isAsync);
  for (const key of addresses()) await call(key);
  return { name, load, batch: loopOver(`${name}, ${load}`, inOrder(addresses(), load), call, isAsync) };
}

/** Strings of their own in each batch, as requests bring them. What a batch leaves is collected before another case runs. */
function freshCase(name, call, forget, isAsync) {
  const keys = Array(READY_KEYS).fill('');
  let batches = 0;
  const before = () => {
    batches += 1;
    for (let i = 0; i < keys.length; i++) keys[i] = flat(`10.${batches & 255}.${i >> 8}.${i & 255}`);
  };
  const after = async () => {
    await forget(keys);
    collectGarbage();
  };
  const batch = loopOver(`${name}, fresh`, keys, call, isAsync);
  return { name, load: 'fresh', before, after, count: NEW_KEYS, batch };
}

/** Read from bytes, as an address is: V8 joins the parts of a template at their first use only. */
function flat(text) {
  return Buffer.from(text).toString('latin1');
}

/** Nanoseconds per call in each round, a row per case. */
export async function measure(cases, rounds) {
  for (const one of cases) one.count ??= await calibrate(one.batch);
  const samples = cases.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const index of shuffled(cases.length)) samples[index].push(await time(cases[index]));
  }
  return samples;
}

async function time({ name, batch, count, before, after }) {
  before?.();
  const startedAt = processorMs();
  const yes = await batch(count);
  const ns = ((processorMs() - startedAt) * 1e6) / count;
  await after?.();
  if (yes !== count) throw new Error(`${name}: ${yes} of ${count} calls passed`);
  return ns;
}
