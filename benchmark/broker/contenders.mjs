// Ways to call another thread. Each opens a thread that echoes what it receives, and returns
// `run(count, inFlight, make, take)`, which makes `count` calls with `inFlight` of them in flight.
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { BUFFERS, OBJECTS, STRINGS } from './loads.mjs';
import { served } from './served.mjs';

const require = createRequire(import.meta.url);
const THREAD = new URL('echo-thread.mjs', import.meta.url);
const MOST_IN_FLIGHT = Math.max(...OBJECTS.map(({ inFlight }) => inFlight));

export const SLUICE = 'sluice';
export const BARE = 'MessagePort, bare echo';
export const RPC = 'MessagePort, Map + promise';
export const COMLINK = 'comlink';
export const PISCINA = 'piscina';

export const CONTENDERS = {
  [SLUICE]: { open: sluice, loads: [...OBJECTS, ...STRINGS, ...BUFFERS] },
  [BARE]: { open: bareEcho, loads: [...OBJECTS, ...STRINGS, ...BUFFERS] },
  [RPC]: { open: portCalls, loads: [...OBJECTS, ...STRINGS, ...BUFFERS] },
  [COMLINK]: { open: comlink, loads: OBJECTS },
  [PISCINA]: { open: piscina, loads: OBJECTS },
};

async function sluice(core) {
  const { Broker } = require('../..');
  const broker = new Broker('benchmark');
  startThread('sluice', core);
  await served(broker, 'echo');
  return calling((payload) => broker.call('echo', payload));
}

/** Answers are not correlated with calls; they arrive in order. */
function bareEcho(core) {
  const worker = startThread('bare', core);
  return (count, inFlight, make, take) =>
    new Promise((resolve) => {
      let sent = 0;
      let back = 0;
      const send = () => {
        sent += 1;
        worker.postMessage(make());
      };
      const onMessage = (answer) => {
        take(answer);
        back += 1;
        if (sent < count) send();
        if (back < count) return;
        worker.off('message', onMessage);
        resolve();
      };
      worker.on('message', onMessage);
      while (sent < Math.min(count, inFlight)) send();
    });
}

/** A minimal implementation: no deadlines, no errors, and a call to a dead thread never settles. */
function portCalls(core) {
  const worker = startThread('rpc', core);
  const pending = new Map();
  let lastId = 0;
  worker.on('message', ({ id, payload }) => {
    const resolve = pending.get(id);
    pending.delete(id);
    resolve(payload);
  });
  return calling((payload) => {
    lastId += 1;
    const id = lastId;
    return new Promise((resolve) => {
      pending.set(id, resolve);
      worker.postMessage({ id, payload });
    });
  });
}

async function comlink(core) {
  const { wrap } = await import('comlink');
  const { default: nodeEndpoint } = await import('comlink/dist/esm/node-adapter.mjs');
  return calling(wrap(nodeEndpoint(startThread('comlink', core))));
}

async function piscina(core) {
  const { Piscina } = await import('piscina');
  const pool = new Piscina({
    filename: new URL('piscina-thread.mjs', import.meta.url).href,
    minThreads: 1,
    maxThreads: 1,
    concurrentTasksPerWorker: MOST_IN_FLIGHT,
    workerData: { core },
  });
  return calling((payload) => pool.run(payload));
}

function startThread(way, core) {
  return new Worker(THREAD, { workerData: { way, core } });
}

/** Runs `inFlight` lanes that each await one call after another. */
function calling(call) {
  return async (count, inFlight, make, take) => {
    let left = count;
    const lane = async () => {
      while (left-- > 0) take(await call(make()));
    };
    await Promise.all(Array.from({ length: inFlight }, lane));
  };
}
