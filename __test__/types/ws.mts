// sluice/ws and sluice/socket.io: options, and what is passed to their functions.
import type { IncomingMessage } from 'node:http';
import type { ConnectionTracker, RateLimiter } from 'sluice';
import protectSocketIo, { type Closed } from 'sluice/socket.io';
import protectWs, { type GuardDecision, type OnLimit, type Options } from 'sluice/ws';
import { Server, type Socket } from 'socket.io';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Equal, expect } from './equal.mjs';

const onLimit: OnLimit = (socket, refusal) => {
  expect<Equal<typeof socket, WebSocket>>();
  socket.send(JSON.stringify(refusal.problem));
};

const options: Options = {
  name: 'chat',
  rateLimit: { limit: 100, window: '1m' },
  connections: { max: 1_000, maxPerClient: 5, opens: { limit: 10, window: '1m' }, idleTimeout: '1m' },
  messages: { limit: (request) => (request.headers['x-plan'] === 'paid' ? 100 : 10), window: '1s' },
  bytes: { limit: 100_000, window: '1s' },
  key: (request) => {
    expect<Equal<typeof request, IncomingMessage>>();
    return request.headers['x-api-key']?.toString();
  },
  trustedProxies: ['10.0.0.0/8'],
  onLimit,
  closeCode: 4029,
};

const protect = protectWs(options);
const server: WebSocketServer = protect(new WebSocketServer({ noServer: true }));
expect<Equal<typeof protect.sessions, ConnectionTracker | null>>();
expect<Equal<typeof protect.messages, RateLimiter | null>>();
server.on('connection', (_socket, request) => {
  expect<Equal<typeof request.sluice, GuardDecision | undefined>>();
});

const io: Server = protectSocketIo({
  messages: { limit: 10, window: '1s' },
  bytes: false,
  onLimit: (sockets, refusal, connection) => {
    expect<Equal<typeof sockets, Socket[]>>();
    for (const socket of sockets) socket.emit('slow down', refusal.retryAfterMs);
    connection.close();
  },
})(new Server(3_000));

const closed: Closed = { reason: 'quota-exceeded', retryAfterMs: null, problem: {} as Closed['problem'] };

// @ts-expect-error: a handshake is answered by the guard
protectWs({ handler: () => {} });
// @ts-expect-error: quotas are options of their own
protectWs({ connections: { messages: { limit: 1, window: '1s' } } });
// @ts-expect-error: Socket.IO has no close codes
protectSocketIo({ closeCode: 1013 });
// @ts-expect-error: a server of another package
protectWs()(new Server(3_000));

export { closed, io };
