// Brokers for tests: one in this thread, and one in each of several peers.
import sluice from '../../index.js';
import { freshName, runInAll, startPeers } from './peer.mjs';

const { Broker } = sluice;

/** Joins a broker until the test ends. */
export function join(t, name = freshName(), options = {}) {
  const broker = new Broker(name, options);
  t.after(() => broker.close({ timeout: 0 }));
  return broker;
}

/** Runs in a peer: joins the broker and registers the endpoints that tests call. */
const serve = ({ load, state, require }, { name, options }) => {
  const { setTimeout: pause } = require('node:timers/promises');
  const broker = new (load().Broker)(name, options);
  state.broker = broker;
  state.served = 0;
  state.aborted = [];
  state.messages = [];
  broker.handle('echo', (payload) => {
    state.served += 1;
    return payload;
  });
  broker.handle('echoLater', async (payload) => {
    await pause(1);
    return payload;
  });
  broker.handle('whichPeer', () => broker.id);
  broker.handle('context', (_payload, { from, id, deadline }) => ({ from, id, deadline }));
  broker.handle('throw', (how) => {
    const cause = new RangeError('the cause');
    throw {
      typed: Object.assign(new TypeError('wrong', { cause }), { code: 'E_WRONG' }),
      coded: new (load().SluiceError)('NOT_FOUND', 'nothing there'),
      text: 'a text',
      object: { a: 1 },
      nothing: undefined,
      method: () => 1,
    }[how];
  });
  broker.handle('reject', async () => {
    await null;
    throw new Error('later');
  });
  broker.handle('returnFunction', () => () => 1);
  broker.handle('never', (_payload, { signal }) => {
    signal.addEventListener('abort', () => state.aborted.push(signal.reason.code ?? signal.reason.name));
    return new Promise(() => {});
  });
  broker.on('message', (payload, { from }) => state.messages.push([from, payload]));
  return broker.id;
};

/** A broker of this thread and `count` peers that serve it; `ids` are the ids of the peers. */
export async function shared(t, count, options = {}) {
  const broker = join(t, freshName(), { id: 'main', ...options });
  const peers = startPeers(t, count);
  const ids = await runInAll(peers, serve, { name: broker.name, options });
  return { broker, peers, ids };
}

/** Waits until `condition()` is truthy, or resolves to a truthy value. */
export async function until(condition) {
  // About two minutes, since a busy machine is slow.
  for (let turn = 0; turn < 24_000; turn++) {
    if (await condition()) return;
    await new Promise((done) => setTimeout(done, 5));
  }
  throw new Error(`never: ${condition}`);
}

/** The outcome of each promise: 'ok', or the code of its error without the prefix. */
export async function outcomes(promises) {
  const settled = await Promise.allSettled(promises);
  return settled.map(({ status, reason }) =>
    status === 'fulfilled' ? 'ok' : (reason.code ?? reason.name).toString().replace('ERR_SLUICE_', ''),
  );
}
