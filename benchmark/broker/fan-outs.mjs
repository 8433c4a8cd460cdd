// Ways to send a message to eight threads. Each returns the function that sends to all of them.
import { createRequire } from 'node:module';
import { BroadcastChannel } from 'node:worker_threads';
import { SLUICE } from './contenders.mjs';

const require = createRequire(import.meta.url);

export const RECEIVERS = 8;
export const CHANNEL = 'benchmark';

export const FAN_OUTS = {
  [SLUICE]: sluice,
  BroadcastChannel: broadcastChannel,
  'a MessagePort each': messagePorts,
};

function sluice() {
  const { Broker } = require('../..');
  const broker = new Broker(CHANNEL);
  return (message) => broker.broadcast(message);
}

function broadcastChannel() {
  const channel = new BroadcastChannel(CHANNEL);
  return (message) => channel.postMessage(message);
}

function messagePorts(workers) {
  return (message) => {
    for (const worker of workers) worker.postMessage(message);
  };
}
