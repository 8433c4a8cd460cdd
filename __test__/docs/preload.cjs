'use strict';

/*
 * Loaded before a program of a page, in each of its threads: what it listens on becomes the port of the test, on loopback,
 * and the test is told so by a line on a descriptor.
 */
const fs = require('node:fs');
const net = require('node:net');
const cluster = require('node:cluster');

const { SNIPPET_PORT, SNIPPET_PID, SNIPPET_SLUICE } = process.env;
const REPORTS = 9;

// Threads have a copy of the environment of their process, and so have other processes, which lack the descriptor.
if (SNIPPET_PID === undefined) process.env.SNIPPET_PID = String(process.pid);
const isReporting = process.env.SNIPPET_PID === String(process.pid);

const here = (options) => ({ ...options, port: Number(SNIPPET_PORT), host: '127.0.0.1' });
const report = () => isReporting && fs.writeSync(REPORTS, 'listening\n');

const { listen } = net.Server.prototype;
net.Server.prototype.listen = function (first, ...others) {
  // What listens on a path, as inspect() does, has no port to ask.
  if (first?.path === undefined) this.once('listening', report);
  const callbacks = others.filter((one) => typeof one === 'function');
  if (typeof first === 'number' || typeof first === 'string') return listen.call(this, here(), ...callbacks);
  return listen.call(this, first?.port === undefined ? first : here(first), ...others);
};
if (cluster.isPrimary) cluster.on('listening', report);

const sluice = require(SNIPPET_SLUICE);
const listenShared = sluice.listen;
sluice.listen = (server, options) => listenShared(server, here(options));
