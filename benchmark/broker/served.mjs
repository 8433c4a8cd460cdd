import { setImmediate as turn } from 'node:timers/promises';

/** Until somebody answers there: a peer joins a moment before it has its handlers. */
export async function served(broker, endpoint) {
  while (!broker.endpoints().includes(endpoint)) await turn();
}
