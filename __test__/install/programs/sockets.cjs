// CommonJS and ws. Prints the statuses of handshakes.
const { once } = require('node:events');
const sluice = require('sluice/ws');
const { WebSocket, WebSocketServer } = require('ws');

function handshake(port) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('open', () => resolve(101));
    socket.once('unexpected-response', (_request, { statusCode }) => resolve(statusCode));
  });
}

async function main() {
  require('sluice/testing').manualClock();
  const protect = sluice({ rateLimit: { limit: 2, window: '1h' } });
  const server = protect(new WebSocketServer({ port: 0, host: '127.0.0.1' }));
  await once(server, 'listening');
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push(await handshake(server.address().port));
  console.log(JSON.stringify({ statuses }));
  process.exit();
}

main();
