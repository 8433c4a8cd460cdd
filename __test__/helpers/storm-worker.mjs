// A thread of the storm: it calls, is called, and may end at any line.
import { setTimeout as pause } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import sluice from '../../index.js';
import { random } from './random.cjs';

const { name, number, seed, goal, lanes, shared } = workerData;
const { next: nextId, ceiling, owners, settled, runs, outcomes, told } = shared;
/** A call with this deadline is answered long before, or it is lost. */
const AMPLE = '60s';

const chance = random(seed);
const below = (most) => Math.floor(chance() * most);
const broker = new sluice.Broker(name);
/** At once: this thread may not live to say it later. */
const complain = (unexpected) => parentPort.postMessage({ unexpected });

/** What a handler is given is the number of its call: no call may run twice. */
const running = (handler) => (id, context) => {
  if (Atomics.add(runs, id, 1) !== 0) complain(`call ${id} ran twice`);
  return handler(id, context);
};
const fail = (id) => Object.assign(new RangeError(`call ${id} fails`), { code: 'E_STORM' });

broker.handle(
  'echo',
  running((id) => id),
);
broker.handle(
  'slow',
  running(async (id) => {
    await pause(id % 20);
    return id;
  }),
);
broker.handle(
  'fail',
  running(async (id) => {
    if (id % 2 === 0) await null;
    throw fail(id);
  }),
);
broker.handle(
  'never',
  running(
    (_id, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
  ),
);
broker.handle(
  'relay',
  running((id) => broker.call('plain', id, { timeout: AMPLE })),
);
broker.handle('plain', (id) => id);
broker.on('message', () => Atomics.add(told, 0, 1));

/** Whoever was asked has ended meanwhile. */
const GONE = ['ERR_SLUICE_PEER_GONE', 'ERR_SLUICE_NO_ENDPOINT'];
const LATE = 'ERR_SLUICE_TIMEOUT';

/** What each kind of call asks, and with what it may end but for an answer. The shares are of a hundred. */
const KINDS = [
  { share: 50, call: (id) => broker.call('echo', id, { timeout: AMPLE }), may: GONE },
  { share: 10, call: (id) => broker.call('slow', id, { timeout: 1 + below(20) }), may: [...GONE, LATE] },
  { share: 6, call: (id) => broker.call('fail', id, { timeout: AMPLE }), may: [...GONE, 'E_STORM'] },
  { share: 4, call: (id) => broker.call('never', id, { timeout: 1 + below(10) }), may: [...GONE, LATE] },
  { share: 8, call: aborted, may: [...GONE, 'ABORTED'] },
  { share: 8, call: (id) => broker.call('echo', id, { timeout: AMPLE, to: somebody() }), may: GONE },
  { share: 5, call: (id) => broker.call('relay', id, { timeout: AMPLE }), may: GONE },
  { share: 1, call: (id) => broker.call('nowhere', id, { timeout: AMPLE }), may: GONE },
  { share: 6, call: sent, may: GONE },
  { share: 2, call: broadcast, may: [] },
];

/** Sometimes before it has begun, sometimes when it has ended. */
async function aborted(id) {
  const controller = new AbortController();
  const reason = Object.assign(new Error('aborted'), { code: 'ABORTED' });
  const answer = broker.call('slow', id, { timeout: AMPLE, signal: controller.signal });
  const when = below(4);
  if (when === 0) controller.abort(reason);
  else setTimeout(() => controller.abort(reason), below(25)).unref();
  return answer;
}

async function sent(id) {
  broker.send(somebody(), { id });
  return id;
}

async function broadcast(id) {
  broker.broadcast({ id });
  return id;
}

/** Often one who leaves before the call arrives. */
function somebody() {
  const peers = broker.peers();
  return peers[below(peers.length)]?.id ?? broker.id;
}

function pick() {
  const one = below(100);
  let before = 0;
  return KINDS.find(({ share }) => {
    before += share;
    return one < before;
  });
}

function settle(id, outcome) {
  if (Atomics.add(settled, id, 1) !== 0) complain(`call ${id} settled twice`);
  Atomics.add(outcomes, outcome, 1);
}

function isOfAnother(id, { code, name, message }) {
  return code === 'E_STORM' && (name !== 'RangeError' || message !== `call ${id} fails`);
}

/** Each lane has one call under way. */
async function lane() {
  for (let id = Atomics.add(nextId, 0, 1); id < goal; id = Atomics.add(nextId, 0, 1)) {
    Atomics.store(owners, id, number);
    while (id >= Atomics.load(ceiling, 0)) await pause(1);
    const { call, may } = pick();
    await call(id).then(
      (answer) => {
        if (answer !== id) complain(`call ${id} was answered with ${answer}`);
        settle(id, 0);
      },
      (error) => {
        if (!may.includes(error.code) || isOfAnother(id, error)) complain(`call ${id}: ${error.stack}`);
        settle(id, 1);
      },
    );
    // A promise that is settled at once must not keep the thread from hearing of anything else.
    if (id % 64 === 0) await new Promise(setImmediate);
  }
}

const ENDS = {
  exit: () => process.exit(0),
  throw: () =>
    setImmediate(() => {
      throw new Error('storm');
    }),
};
parentPort.on('message', (way) => ENDS[way]?.());

await Promise.all(Array.from({ length: lanes }, lane));
parentPort.postMessage({ done: true });
/** What is left when all have stopped: told again and again, until the main thread has seen zeros. */
for (;;) {
  const { pending, inFlight, waiting } = broker.stats();
  parentPort.postMessage({ left: { pendingCount: broker.pendingCount, pending, inFlight, waiting } });
  await pause(20);
}
