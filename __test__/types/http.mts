// sluice/http: listeners keep their types, and requests carry the decision.
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import http2, { type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createGuard } from 'sluice';
import sluice, { type Handler, type Options, type Request } from 'sluice/http';
import { type Equal, expect } from './equal.mjs';

const handler: Handler = (_req, res, _next, refusal) => {
  res.end(String(refusal.problem.retryAfterMs));
};

const options: Options = {
  rateLimit: { limit: 100, window: '1m' },
  key: (req) => {
    expect<Equal<typeof req, Request>>();
    return req.headers['x-api-key']?.toString();
  },
  handler,
};

const protect = sluice(options);
http.createServer(
  protect((req, res) => {
    expect<Equal<typeof req, IncomingMessage>>();
    expect<Equal<typeof res, ServerResponse>>();
    res.end((req as Request).sluice?.outcome);
  }),
);
http2.createServer(protect<Http2ServerRequest, Http2ServerResponse>((_req, res) => res.end()));
http.createServer((req, res) => protect(req, res, () => res.end()));

const guard = createGuard('site');
http.createServer(guard.http()((_req, res) => res.end()));
