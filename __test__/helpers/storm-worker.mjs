// A thread of the storm: it calls, is called, and may end at any point.
import { setTimeout as pause } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import sluice from '../../index.js';
import { random } from './random.cjs';

const { name, number, seed, goal, lanes, shared } = workerData;
const { next: nextId, ceiling, owners, settled, runs, outcomes, messages } = shared;
/** A call with this timeout is answered long before it, or lost. */
const AMPLE = '60s';

const chance = random(seed);
const below = (most) => Math.floor(chance() * most);
const broker = new sluice.Broker(name);
/** Posted at once, since this thread may end at any time. */
const reportUnexpected = (unexpected) => parentPort.postMessage({ unexpected });

/** The payload of a handler is the id of its call. No call may run twice. */
const running = (handler) => (id, context) => {
  if (Atomics.add(runs, id, 1) !== 0) reportUnexpected(`call ${id} ran twice`);
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
broker.on('message', () => Atomics.add(messages, 0, 1));

/** The codes of a call whose receiver has ended. */
const GONE = ['ERR_SLUICE_PEER_GONE', 'ERR_SLUICE_NO_ENDPOINT'];
const LATE = 'ERR_SLUICE_TIMEOUT';

/** The kinds of call: share in percent, and the error codes that each may end with. */
const KINDS = [
  { share: 50, call: (id) => broker.call('echo', id, { timeout: AMPLE }), may: GONE },
  { share: 10, call: (id) => broker.call('slow', id, { timeout: 1 + below(20) }), may: [...GONE, LATE] },
  { share: 6, call: (id) => broker.call('fail', id, { timeout: AMPLE }), may: [...GONE, 'E_STORM'] },
  { share: 4, call: (id) => broker.call('never', id, { timeout: 1 + below(10) }), may: [...GONE, LATE] },
  { share: 8, call: aborted, may: [...GONE, 'ABORTED'] },
  { share: 8, call: (id) => broker.call('echo', id, { timeout: AMPLE, to: randomPeer() }), may: GONE },
  { share: 5, call: (id) => broker.call('relay', id, { timeout: AMPLE }), may: GONE },
  { share: 1, call: (id) => broker.call('nowhere', id, { timeout: AMPLE }), may: GONE },
  { share: 6, call: sent, may: GONE },
  { share: 2, call: broadcast, may: [] },
];

/** Aborts at a random time: before the call, during it or after it. */
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
  broker.send(randomPeer(), { id });
  return id;
}

async function broadcast(id) {
  broker.broadcast({ id });
  return id;
}

/** May have left before the call arrives. */
function randomPeer() {
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
  if (Atomics.add(settled, id, 1) !== 0) reportUnexpected(`call ${id} settled twice`);
  Atomics.add(outcomes, outcome, 1);
}

function isErrorOfAnotherCall(id, { code, name, message }) {
  return code === 'E_STORM' && (name !== 'RangeError' || message !== `call ${id} fails`);
}

/** Each lane has one call in flight. */
async function lane() {
  for (let id = Atomics.add(nextId, 0, 1); id < goal; id = Atomics.add(nextId, 0, 1)) {
    Atomics.store(owners, id, number);
    while (id >= Atomics.load(ceiling, 0)) await pause(1);
    const { call, may } = pick();
    await call(id).then(
      (answer) => {
        if (answer !== id) reportUnexpected(`call ${id} was answered with ${answer}`);
        settle(id, 0);
      },
      (error) => {
        if (!may.includes(error.code) || isErrorOfAnotherCall(id, error))
          reportUnexpected(`call ${id}: ${error.stack}`);
        settle(id, 1);
      },
    );
    // Calls that settle at once must not starve the event loop.
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
/** Posts the remaining counts repeatedly, until the main thread has seen zeros. */
for (;;) {
  const { pending, inFlight, waiting } = broker.stats();
  parentPort.postMessage({ left: { pendingCount: broker.pendingCount, pending, inFlight, waiting } });
  await pause(20);
}
