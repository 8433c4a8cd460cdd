'use strict';

// One worker thread with two servers. One tracker counts the connections of both servers in all threads.

const http = require('node:http');
const net = require('node:net');
const { parentPort, threadId } = require('node:worker_threads');
const { ConnectionTracker, listen } = require('sluice');

const tracker = new ConnectionTracker('caps', { max: 30, maxPerClient: 10 });

const web = http.createServer((_req, res) => res.end(`served by thread ${threadId}\n`));
// The example ends connections by itself.
web.keepAliveTimeout = 60_000;
const chat = net.createServer((socket) => {
  socket.write('welcome\n');
  // A connection that is reset must not end the process.
  socket.on('error', () => {});
});

async function start() {
  // From now on connections beyond a cap are refused at accept, before a byte is read.
  tracker.attach(web).attach(chat);
  const [{ port: webPort }, { port: chatPort }] = [
    await listen(web, { port: 0, host: '127.0.0.1' }),
    await listen(chat, { port: 0, host: '127.0.0.1' }),
  ];
  parentPort.postMessage({ webPort, chatPort });
}

start();
