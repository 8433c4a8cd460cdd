'use strict';

const act = require('./act');
const { inspect } = require('./inspect');
const { machine } = require('./machine');
const { top } = require('./top');

const COMMON = {
  json: { type: 'boolean' },
  header: { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' },
};
const ACTING = { server: { type: 'string' }, ...COMMON };

/** The commands: what they take, what they do, and what `--help` says of them. */
const COMMANDS = {
  inspect: {
    usage: 'sluice inspect [pid|url]',
    summary: 'Prints the state of a server: which clients are refused, by what, since when.',
    details: [
      'Without an argument it takes the only process that can be inspected, or lists them all.',
      'With --client it prints what is known of one client: why it is refused, and what it has left.',
    ],
    arguments: 1,
    options: {
      client: { type: 'string' },
      rows: { type: 'string' },
      list: { type: 'boolean' },
      ...COMMON,
    },
    run: inspect,
  },
  top: {
    usage: 'sluice top [pid|url]',
    summary: 'Shows a server live, once a second, until q or Ctrl-C.',
    details: [
      'Where the output is no terminal it prints one frame. With --json it prints a line for each second.',
    ],
    arguments: 1,
    options: { count: { type: 'string' }, ...COMMON },
    run: top,
  },
  ban: {
    usage: 'sluice ban <client>',
    summary: 'Bans an address, or a range such as 203.0.113.0/24, in a reputation.',
    arguments: 1,
    options: { for: { type: 'string' }, reason: { type: 'string' }, in: { type: 'string' }, ...ACTING },
    run: act.ban,
  },
  unban: {
    usage: 'sluice unban <client>',
    summary: 'Ends the bans of an address or a range. What it has used of its limits stays used.',
    arguments: 1,
    options: { in: { type: 'string' }, ...ACTING },
    run: act.unban,
  },
  block: {
    usage: 'sluice block <client>',
    summary: 'Makes a limiter refuse a client for some time.',
    arguments: 1,
    options: { for: { type: 'string' }, in: { type: 'string' }, ...ACTING },
    run: act.block,
  },
  reset: {
    usage: 'sluice reset <client>',
    summary: 'Gives a client its full quota, and ends its blocks.',
    arguments: 1,
    options: { in: { type: 'string' }, ...ACTING },
    run: act.reset,
  },
  admit: {
    usage: 'sluice admit <client>',
    summary: 'Lets a client in: ends its bans and resets its limits, wherever it has any.',
    arguments: 1,
    options: ACTING,
    run: act.admit,
  },
  machine: {
    usage: 'sluice machine [ls|rm] [name]',
    summary: 'Lists the state that processes of this machine share, or removes files of it.',
    details: [
      'ls prints each file: its size, options, how often they were replaced, clients, and which processes are attached.',
      'rm removes files that no process is attached to: that of an instance, or all with --all.',
    ],
    arguments: 2,
    options: {
      dir: { type: 'string' },
      all: { type: 'boolean' },
      force: { type: 'boolean' },
      json: COMMON.json,
      help: COMMON.help,
    },
    run: machine,
  },
};

module.exports = { COMMANDS };
