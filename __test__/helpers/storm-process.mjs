// Eight threads call each other while threads end at random and new ones start. Prints the totals and exits by itself.
// `node storm-process.mjs '{ calls, seed, lanes, endEvery }'`
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import { random } from './random.cjs';

const FILE = new URL('storm-worker.mjs', import.meta.url);
const THREADS = 8;
/** The counters of all remaining threads must be 0 within this time after the last call. */
const REST_MS = 60_000;

/** One thread ends per `endEvery` calls, so the number of ends does not depend on the speed of the machine. */
const { calls: goal, seed, lanes, endEvery } = JSON.parse(process.argv[2]);
const chance = random(seed);
const name = 'storm';

const cells = (Type, length) => new Type(new SharedArrayBuffer(length * Type.BYTES_PER_ELEMENT));
const shared = {
  next: cells(Int32Array, 1),
  /** Calls from this id on wait until the next thread has ended. */
  ceiling: cells(Int32Array, 1),
  /** Per call: its thread, how often it settled, how often its handler ran. */
  owners: cells(Uint16Array, goal),
  settled: cells(Uint8Array, goal),
  runs: cells(Uint8Array, goal),
  /** Over all calls: the number of answers and of errors. */
  outcomes: cells(Int32Array, 2),
  /** The number of received messages. */
  messages: cells(Int32Array, 1),
};

const broker = new sluice.Broker(name);
const peers = { joined: 0, left: 0 };
broker.on('peerJoin', () => (peers.joined += 1));
broker.on('peerLeave', () => (peers.left += 1));

const live = new Map();
const unexpected = [];
let started = 0;

function startThread() {
  const number = ++started;
  const workerData = { name, number, seed: Math.floor(chance() * 2 ** 32), goal, lanes, shared };
  const worker = new Worker(FILE, { workerData });
  const thread = { worker, left: undefined };
  live.set(number, thread);
  worker.on('message', ({ unexpected: what, done = thread.done, left }) => {
    if (what !== undefined) unexpected.push(what);
    Object.assign(thread, { done, left });
  });
  worker.on('error', (error) => {
    if (error.message !== 'storm') unexpected.push(`thread ${number}: ${error.stack}`);
  });
  worker.on('exit', () => live.delete(number));
}

/** Ends a random thread at any point of its work. */
function endOne() {
  const threads = [...live.values()];
  const { worker } = threads[Math.floor(chance() * threads.length)];
  const way = chance();
  if (way < 0.7) worker.terminate();
  else worker.postMessage(way < 0.85 ? 'exit' : 'throw');
}

const isQuiet = ({ left }) => left !== undefined && Object.values(left).every((count) => count === 0);

async function storm() {
  let ends = 0;
  shared.ceiling[0] = 2 * endEvery;
  while (shared.next[0] < goal) {
    while (live.size < THREADS) startThread();
    await pause(1);
    const isDue = shared.next[0] >= (ends + chance()) * endEvery;
    if (live.size < THREADS || !isDue || shared.next[0] >= goal) continue;
    endOne();
    ends += 1;
    Atomics.store(shared.ceiling, 0, (ends + 2) * endEvery);
  }
}

/** Waits until the remaining threads have settled their calls and hold nothing. */
async function calm() {
  const isOver = () => [...live.values()].every((thread) => thread.done && isQuiet(thread));
  for (let rest = 0; rest < REST_MS && !isOver(); rest += 20) await pause(20);
  return [...live.values()].map(({ done = false, left }) => ({ done, left }));
}

async function endAll() {
  const survivors = new Set(live.keys());
  await Promise.all(
    [...live.values()].map(({ worker }) => Promise.all([once(worker, 'exit'), worker.terminate()])),
  );
  for (let rest = 0; rest < REST_MS && peers.left < peers.joined; rest += 20) await pause(20);
  return survivors;
}

function countCalls(survivors) {
  const counts = { unsettled: 0, settledTwice: 0, ranTwice: 0, lostWithTheirThread: 0 };
  for (let id = 0; id < goal; id++) {
    if (shared.settled[id] > 1) counts.settledTwice += 1;
    if (shared.runs[id] > 1) counts.ranTwice += 1;
    if (shared.settled[id] > 0) continue;
    if (survivors.has(shared.owners[id])) counts.unsettled += 1;
    else counts.lostWithTheirThread += 1;
  }
  return counts;
}

const startedAt = performance.now();
await storm();
const left = await calm();
const survivors = await endAll();
const { pending, inFlight, waiting } = broker.stats();
console.log(
  JSON.stringify({
    ...countCalls(survivors),
    left,
    main: { pending, inFlight, waiting, pendingCount: broker.pendingCount, peers: broker.peers().length },
    peers,
    unexpected: unexpected.slice(0, 10),
    answered: shared.outcomes[0],
    failed: shared.outcomes[1],
    messages: shared.messages[0],
    threads: started,
    seconds: Math.round((performance.now() - startedAt) / 100) / 10,
  }),
);
