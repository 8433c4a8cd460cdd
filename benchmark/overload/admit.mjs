// What deciding costs: nanoseconds of processor time of one `admit`, beside the empty turns of the loop.
import { createRequire } from 'node:module';

const { LoadShedder } = createRequire(import.meta.url)('../../index.js');

const CALLS = 60_000;

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Nanoseconds a call, by calls in a turn: samples of each round. */
export async function measureAdmit(callsInATurn, rounds) {
  const shedder = new LoadShedder('benchmark-admit', {});
  const samples = Object.fromEntries(callsInATurn.map((calls) => [calls, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const calls of callsInATurn) {
      const turns = Math.ceil(CALLS / calls);
      const asking = await cpuOf(turns, calls, () => shedder.admit());
      const idling = await cpuOf(turns, calls, () => true);
      // The first round only warms up.
      if (round > 0) samples[calls].push((asking - idling) / (turns * calls));
    }
  }
  LoadShedder.destroy('benchmark-admit');
  return samples;
}

async function cpuOf(turns, calls, call) {
  const before = process.cpuUsage();
  let admitted = 0;
  for (let n = 0; n < turns; n++) {
    for (let asked = 0; asked < calls; asked++) if (call()) admitted += 1;
    await turn();
  }
  const { user, system } = process.cpuUsage(before);
  if (admitted !== turns * calls) throw new Error(`${turns * calls - admitted} calls were shed`);
  return (user + system) * 1000;
}
