// The only thread of the piscina pool.
import { workerData } from 'piscina';
import { pinThread } from './placement.mjs';

pinThread(workerData.core);

export default function echo(payload) {
  return payload;
}
