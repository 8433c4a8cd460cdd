'use strict';

const { clientSections, notAsked, reasonsOf, whyLetIn } = require('../client-sections');
const components = require('../component-sections');
const { printHeadline, printJson, printLine, printSections } = require('../output');
const sections = require('../sections');
const { inspectable, noneFound } = require('../servers');
const { positiveInteger, serverOf } = require('../server-argument');

const ROWS = 10;

/** Prints the state of a server, or of one of its clients. Without a server and with several, lists them. */
async function inspect({ values, positionals }, io) {
  const most = positiveInteger('--rows', values.rows, ROWS);
  if (values.list) return list(await found(io), values, io);
  const { endpoint, several } = await serverOf(positionals[0], values, io);
  if (endpoint === undefined) return list(several, values, io);
  if (values.client !== undefined) return client(endpoint, values, most, io);
  const snapshot = await endpoint.snapshot();
  if (values.json) return printJson(io, snapshot);
  printHeadline(io, sections.headline(snapshot));
  printSections(io, sectionsOf(snapshot), most);
}

async function found(io) {
  const all = await inspectable(io.env);
  if (all.length === 0) throw noneFound(io.env);
  return all;
}

function list(all, { json }, io) {
  if (json) return printJson(io, { processes: all.map(({ endpoint, ...facts }) => facts) });
  printSections(io, [components.processes(all)], Number.POSITIVE_INFINITY);
}

async function client(endpoint, { client: key, json }, most, io) {
  const report = await endpoint.client({ key });
  if (json) return printJson(io, report);
  const reasons = reasonsOf(report);
  printLine(io, `${report.client} on ${endpoint.where}`);
  for (const reason of reasons) printLine(io, reason);
  if (reasons.length === 0) printLine(io, whyLetIn(report));
  else if (report.notAsked.length > 0) printLine(io, notAsked(report));
  io.stdout.write('\n');
  printSections(io, clientSections(report), most);
}

function sectionsOf(snapshot) {
  return [
    sections.requests(snapshot),
    sections.refused(snapshot),
    sections.bans(snapshot),
    sections.limits(snapshot),
    sections.busiest(snapshot),
    components.connections(snapshot),
    components.circuits(snapshot),
    components.brokers(snapshot),
    components.hubs(snapshot),
    components.others(snapshot),
    components.threads(snapshot),
    sections.events(snapshot),
  ].filter((section) => section !== undefined);
}

module.exports = { inspect };
