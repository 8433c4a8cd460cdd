'use strict';

const { misuse } = require('./failure');
const { printable } = require('./text');
const { endpointOfPid, endpointOfUrl, inspectable, noneFound, parseTarget, quoted } = require('./servers');

/**
 * The server that a command is for: `{ endpoint, pid? }`, the only one that there is where none was named; `{ several }`
 * where there are more.
 *
 * @returns {Promise<any>}
 */
async function serverOf(given, { header }, io) {
  const { pid, url } = parseTarget(given);
  if (url !== undefined) return { endpoint: endpointOfUrl(url, header, io) };
  if (header !== undefined)
    throw misuse('--header is for a url; accepted: no --header for a process of this machine');
  if (pid !== undefined) return { endpoint: await endpointOfPid(pid, io.env), pid };
  const all = await inspectable(io.env);
  if (all.length === 0) throw noneFound(io.env);
  if (all.length > 1) return { several: all };
  return { endpoint: all[0].endpoint, pid: all[0].pid };
}

/** As `serverOf`, for commands that need exactly one. `how` says how to name it. */
async function oneServerOf(given, values, { io, how }) {
  const { several, ...server } = await serverOf(given, values, io);
  if (several === undefined) return server;
  const named = several.map(({ pid, title }) =>
    title === undefined ? `${pid}` : `${pid} (${printable(title)})`,
  );
  throw misuse(`several processes can be inspected: ${named.join(', ')}; accepted: one of them, ${how}`);
}

function positiveInteger(option, given, otherwise) {
  if (given === undefined) return otherwise;
  if (/^[1-9]\d{0,5}$/.test(given)) return Number(given);
  throw misuse(`${option} is ${quoted(given)}; accepted: an integer from 1 to 999999`);
}

module.exports = { oneServerOf, positiveInteger, serverOf };
