'use strict';

const { misuse, Failure } = require('../failure');
const { printJson, printLine } = require('../output');
const { oneServerOf } = require('../server-argument');
const { printable } = require('../text');

/*
 * What an operator does by a command. The server carries it out, by the code of the dashboard's actions, where the option
 * `actions` or `readOnly: false` allows it.
 */

const FOR = '1h';

async function ban(args, io) {
  const { endpoint, client } = await prepared(args, io);
  const { in: name, for: duration = FOR, reason } = args.values;
  const reputation = only((await endpoint.snapshot()).reputations, name, 'reputation', 'bans are off');
  await done(args, io, endpoint, [{ action: 'ban', client, reputation: reputation.name, duration, reason }]);
}

async function unban(args, io) {
  const { endpoint, client } = await prepared(args, io);
  const { in: name } = args.values;
  const names = name === undefined ? (await endpoint.snapshot()).reputations.map((one) => one.name) : [name];
  await done(
    args,
    io,
    endpoint,
    names.map((reputation) => ({ action: 'unban', client, reputation })),
  );
}

async function block(args, io) {
  const { endpoint, client } = await prepared(args, io);
  const { in: name, for: duration = FOR } = args.values;
  const limiter = only(
    (await endpoint.snapshot()).limiters,
    name,
    'limiter',
    'there is nothing to block it in',
  );
  await done(args, io, endpoint, [{ action: 'block', client, limiter: limiter.id, duration }]);
}

async function reset(args, io) {
  const { endpoint, client } = await prepared(args, io);
  const { in: name } = args.values;
  const { limiters } = await endpoint.snapshot();
  const chosen =
    name === undefined ? limiters : [only(limiters, name, 'limiter', 'there is nothing to reset')];
  await done(
    args,
    io,
    endpoint,
    chosen.map(({ id }) => ({ action: 'reset', client, limiter: id })),
  );
}

async function admit(args, io) {
  const { endpoint, client } = await prepared(args, io);
  await done(args, io, endpoint, [{ action: 'admit', client }]);
}

/** The server, and the client as actions name it. */
async function prepared({ values, positionals: [key] }, io) {
  if (key === undefined || key === '') throw misuse('no client is given; accepted: its address or key');
  const { endpoint } = await oneServerOf(values.server, values, { io, how: 'with --server' });
  return { endpoint, client: { key } };
}

/** The instance of this name, or the only one. */
function only(all, name, kind, without) {
  const names = all.map((one) => printable(one.name)).join(', ');
  if (all.length === 0) throw new Failure(`the server has no ${kind}: ${without}`);
  if (name === undefined && all.length === 1) return all[0];
  if (name === undefined) throw misuse(`the server has several: ${names}; accepted: one of them, with --in`);
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw misuse(`the server has no ${kind} ${JSON.stringify(printable(name))}; accepted: ${names}`);
}

/**
 * Carries the actions out. One that finds nothing to do is passed over, unless all do. What was done is printed, also where
 * another one failed.
 */
async function done({ values, positionals: [key] }, io, endpoint, actions) {
  const { outcomes, without, failure } = await carriedOut(endpoint, actions);
  if (outcomes.length === 0) throw failure ?? without;
  print(io, values, key, outcomes);
  if (failure !== undefined) throw failure;
}

/** Goes on after an action that the server could not do, and ends with one that it did not answer or does not allow. */
async function carriedOut(endpoint, actions) {
  const outcomes = [];
  let without = new Failure('there was nothing to do');
  let failure;
  for (const action of actions) {
    try {
      outcomes.push(await endpoint.act(action));
    } catch (error) {
      if (error.status === 404) without = error;
      else failure ??= error;
      if (![400, 404].includes(error.status)) break;
    }
  }
  return { outcomes, without, failure };
}

function print(io, { json }, key, outcomes) {
  if (json) return printJson(io, { client: key, done: outcomes });
  for (const { what, source } of outcomes) {
    printLine(io, `${key}: ${what}${source === undefined ? '' : ` in ${source}`}`);
  }
}

module.exports = { admit, ban, block, reset, unban };
