'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');

/** Everything comes from the dashboard's own origin; nothing is inline, and no page may frame it. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** On every answer of a dashboard. */
const HEADERS = {
  'Content-Security-Policy': POLICY,
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'X-Frame-Options': 'DENY',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/app.js': ['app.js', 'text/javascript; charset=utf-8'],
  '/app.css': ['app.css', 'text/css; charset=utf-8'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
};

/** The files that were sent, each as it is and compressed. They are read once per thread. */
const read = new Map();

/** Sends the page or one of its files. */
function sendFile(req, res, place) {
  const [name, type] = FILES[place];
  const { plain, zipped } = contentOf(name);
  const isZipped = /\bgzip\b/.test(req.headers['accept-encoding'] ?? '');
  const body = isZipped ? zipped : plain;
  res.writeHead(200, {
    ...HEADERS,
    'Content-Type': type,
    'Content-Length': body.length,
    Vary: 'Accept-Encoding',
    ...(isZipped ? { 'Content-Encoding': 'gzip' } : {}),
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

function contentOf(name) {
  if (!read.has(name)) {
    const plain = readFileSync(path.join(__dirname, 'page', name));
    read.set(name, { plain, zipped: zlib.gzipSync(plain, { level: 9 }) });
  }
  return read.get(name);
}

/** Answers with a status and JSON. */
function sendJson(req, res, status, value) {
  const body = JSON.stringify(value);
  res.writeHead(status, {
    ...HEADERS,
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

/** Answers with a status and a sentence. */
function sendSentence(req, res, status, sentence, headers) {
  const body = `${sentence}\n`;
  res.writeHead(status, {
    ...HEADERS,
    ...headers,
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

module.exports = { FILES, HEADERS, sendFile, sendJson, sendSentence };
