import { setImmediate as turn } from 'node:timers/promises';

/** Polls until a peer handles `endpoint`, as a peer joins before it adds its handlers. */
export async function served(broker, endpoint) {
  while (!broker.endpoints().includes(endpoint)) await turn();
}
