// The part `overload`: a Fastify that is offered more than it can answer, alone, behind @fastify/under-pressure and behind
// sluice; what deciding costs; and what it costs a server that has no overload.
import { Child } from '../child.mjs';
import { SAMPLES, takeTurns } from '../http/measure.mjs';
import { median, ratio, shuffled, spread } from '../statistics.mjs';
import { table } from '../table.mjs';
import { measureAdmit } from './admit.mjs';

export const title = 'Overload';

const UNDER_PRESSURE = '@fastify/under-pressure, 100 ms';
const SLUICE = 'sluice';
const CONTENDERS = ['none', UNDER_PRESSURE, SLUICE];
const LOADS = [2, 6];

/** Milliseconds that a handler blocks its thread, on average, and requests a second for which it leaves time. */
const BLOCK_MS = 2;
const CAPACITY = 480;

/** The clients', in load.mjs. */
const DEADLINE_MS = 1000;

/** What decides in servers without overload. A second process of the first shows by how much the comparison varies. */
const GUARDS = ['a guard', 'a guard', 'a guard with overload'];
const LOAD = { connections: 50, sleeps: false };

const CALLS_IN_A_TURN = [1, 10, 100];

const QUICK = { rounds: 1, seconds: 4, processes: 1, samples: 2, admitRounds: 5 };
const FULL = { rounds: 3, seconds: 8, processes: 6, samples: SAMPLES, admitRounds: 11 };

export async function run({ quick }) {
  const plan = quick ? QUICK : FULL;
  console.log('sluice: servers under overload, each in a process of its own');
  const admit = await measureAdmit(CALLS_IN_A_TURN, plan.admitRounds);
  const cpu = await measureCpu(plan);
  const overloaded = await measureOverload(plan);
  return {
    sections: [overloadSection(overloaded, plan), costSection(admit, cpu)],
    skipped: [],
    losses: [],
    targets: targets(overloaded, admit, cpu),
    charts: [],
  };
}

/** By load and contender, the samples of all rounds. */
async function measureOverload({ rounds, seconds }) {
  const cases = LOADS.flatMap((load) => CONTENDERS.map((name) => ({ load, name, samples: [] })));
  for (let round = 0; round < rounds; round++) {
    for (const at of shuffled(cases.length)) {
      const { load, name, samples } = cases[at];
      samples.push(await overload(name, load * CAPACITY, seconds));
    }
  }
  return cases;
}

async function overload(name, perSecond, seconds) {
  const server = new Child(new URL('server.mjs', import.meta.url));
  const clients = new Child(new URL('load.mjs', import.meta.url));
  try {
    const port = await server.ask({ open: name, blockMs: BLOCK_MS });
    return await clients.ask({ port, perSecond, seconds });
  } finally {
    server.close();
    clients.close();
  }
}

/**
 * Microseconds of processor time per request, by `GUARDS`. Two processes of one kind differ by some percent, hence several
 * of each.
 */
async function measureCpu({ processes, samples }) {
  const url = new URL('server.mjs', import.meta.url);
  const servers = GUARDS.map((name) => ({ url, question: { open: name, blockMs: 0 }, load: LOAD }));
  const cpu = GUARDS.map(() => []);
  for (let i = 0; i < processes; i++) {
    const taken = await takeTurns(servers, samples);
    for (const [at, ofServer] of taken.entries()) cpu[at].push(...ofServer.map((sample) => sample.cpu));
  }
  return cpu;
}

/** Where nothing was answered in time, the deadline stands for its latency. */
const middle = (samples, of) => median(samples.map((sample) => of(sample) ?? DEADLINE_MS));
const percent = (share) => `${Math.round(100 * share)} %`;
const ms = (value) => (value < DEADLINE_MS ? value.toFixed(0) : '–');

function overloadSection(cases, { rounds, seconds }) {
  const rows = cases.map(({ load, name, samples }) => [
    `${load} ×, ${name}`,
    middle(samples, ({ goodput }) => goodput).toFixed(0),
    ms(middle(samples, ({ p99 }) => p99)),
    ms(middle(samples, ({ highP99 }) => highP99)),
    ...['high', 'normal', 'low'].map((kind) => percent(middle(samples, ({ served }) => served[kind]))),
  ]);
  const headings = ['load', 'answered in time/s', 'p99 ms', 'of high, ms', 'high', 'normal', 'low'];
  const how =
    `Fastify in one thread, handlers that block for ${BLOCK_MS} ms (exponential), a deadline of 1 s, requests at random times over ` +
    `1000 connections; 20 % are high, 60 % normal, 20 % low. ${rounds} rounds of ${seconds} s, medians.`;
  return `### A server that is offered more than it can answer\n\n${how}\n\n${table(headings, rows)}`;
}

function costSection(admit, [guard, another, shedding]) {
  const rows = CALLS_IN_A_TURN.map((calls) => [
    `\`admit\`, ${calls} in a turn of the loop`,
    `${median(admit[calls]).toFixed(0)} ns`,
    `±${(100 * spread(admit[calls])).toFixed(0)} %`,
  ]);
  const beside = (what, samples) => [
    `Fastify with a guard, a request: ${what}`,
    `${ratio(samples, guard).toFixed(3)} ×`,
    `±${(100 * spread(samples)).toFixed(0)} %`,
  ];
  rows.push(beside('with `overload` beside without', shedding));
  rows.push(beside('without, in another process', another));
  return `### What shedding costs\n\nProcessor time.\n\n${table(['', '', 'spread'], rows)}`;
}

function targets(cases, admit, [guard, , shedding]) {
  const of = (load, name) => cases.find((one) => one.load === load && one.name === name).samples;
  const beside = (value) => middle(of(2, SLUICE), value) / middle(of(2, UNDER_PRESSURE), value);
  const others = `sluice / ${UNDER_PRESSURE}`;
  return [
    {
      what: `answered in time at 2 ×: ${others}`,
      unit: '×',
      atLeast: 2,
      value: beside(({ goodput }) => goodput),
    },
    { what: `p99 at 2 ×: ${others}`, unit: '×', atMost: 0.3, value: beside(({ p99 }) => p99) },
    {
      what: 'p99 of a high priority at 6 ×',
      unit: 'ms',
      atMost: 250,
      value: middle(of(6, SLUICE), ({ highP99 }) => highP99),
    },
    { what: '`admit`, 10 in a turn', unit: 'ns', atMost: 60, value: median(admit[10]) },
    { what: 'CPU of a request: overload / without', unit: '×', atMost: 1.02, value: ratio(shedding, guard) },
  ];
}
