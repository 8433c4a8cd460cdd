/* Redis servers that act as one: clusters, and masters that sentinels watch. All on free ports of loopback. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CommandClient, freePort, program, startRedis } from './redis.mjs';

const SLOTS = 16_384;

/** After so long without an answer a server of a group is given up, unless a test says less: none is, on a busy machine. */
const PATIENT_MS = 60_000;

/** So many masters with equal shares of the slots, and a replica of the first. Ends with the test. */
export async function startCluster(t, { masters = 3, replica = false } = {}) {
  const count = masters + (replica ? 1 : 0);
  const nodes = await Promise.all(Array.from({ length: count }, () => startNode(t)));
  const cluster = new RedisCluster(nodes);
  await cluster.join(masters);
  return cluster;
}

async function startNode(t) {
  const busPort = await freePort();
  const args = ['--cluster-enabled', 'yes', '--cluster-port', `${busPort}`, '--cluster-node-timeout', '1000'];
  const node = await startRedis(t, {
    args: [...args, '--cluster-require-full-coverage', 'no'],
    persists: true,
  });
  node.busPort = busPort;
  node.id = /^\$\d+\r\n(\w+)/.exec(await node.command('CLUSTER', 'MYID'))[1];
  return node;
}

class RedisCluster {
  constructor(nodes) {
    this.nodes = nodes;
  }

  get urls() {
    return this.nodes.map(({ url }) => url);
  }

  /** A node that does not answer these for so long is given up, and its replica takes its place. */
  async giveUpAfter(ms, nodes = this.nodes) {
    for (const node of nodes) await node.command('CONFIG', 'SET', 'cluster-node-timeout', ms);
  }

  async join(masters) {
    const [first, ...others] = this.nodes;
    for (let n = 0; n < masters; n++) {
      const from = Math.floor((n * SLOTS) / masters);
      const to = Math.floor(((n + 1) * SLOTS) / masters) - 1;
      await this.nodes[n].command('CLUSTER', 'ADDSLOTSRANGE', from, to);
      // Two that claim one epoch would settle that while a test runs.
      await this.nodes[n].command('CLUSTER', 'SET-CONFIG-EPOCH', n + 1);
    }
    for (const { port, busPort } of others)
      await first.command('CLUSTER', 'MEET', '127.0.0.1', port, busPort);
    // A node may know another one before it knows its slots.
    const fields = ['cluster_state:ok', `cluster_slots_ok:${SLOTS}`, `known_nodes:${this.nodes.length}`];
    await this.#agree((reply) => fields.every((field) => reply.includes(`${field}\r\n`)));
    for (const node of this.nodes.slice(masters)) {
      await node.command('CLUSTER', 'REPLICATE', first.id);
      await node.until((reply) => reply.includes('master_link_status:up'), 'INFO', 'replication');
      await first.until((reply) => reply.includes('slave0:'), 'INFO', 'replication');
    }
    // Nodes that are patient find each other more slowly.
    await this.giveUpAfter(PATIENT_MS);
  }

  async #agree(isRight) {
    for (const node of this.nodes) await node.until(isRight, 'CLUSTER', 'INFO');
  }

  async slotOf(key) {
    return this.nodes[0].number('CLUSTER', 'KEYSLOT', key);
  }

  /** The node that has a slot. */
  async ownerOf(slot) {
    const reply = await this.nodes[0].command('CLUSTER', 'SLOTS');
    const ranges = reply.matchAll(/:(\d+)\r\n:(\d+)\r\n\*\d+\r\n\$\d+\r\n[\d.]+\r\n:(\d+)/g);
    for (const [, first, last, port] of ranges) {
      if (slot >= Number(first) && slot <= Number(last))
        return this.nodes.find((node) => node.port === Number(port));
    }
  }

  /** How often nodes have answered with an error of this code. */
  async errors(code) {
    const counts = this.nodes.map(async (node) => {
      const reply = await node.command('INFO', 'errorstats');
      return Number(new RegExp(`errorstat_${code}:count=(\\d+)`).exec(reply)?.[1] ?? 0);
    });
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  }

  /** Moves a slot with its keys, one at a time; `between` is awaited before each key. */
  async move(slot, from, to, between = async () => {}) {
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
    for (;;) {
      await between();
      const [, key] =
        /^\*1\r\n\$\d+\r\n(.*)\r\n/.exec(await from.command('CLUSTER', 'GETKEYSINSLOT', slot, 1)) ?? [];
      if (key === undefined) break;
      await from.command('MIGRATE', '127.0.0.1', to.port, key, 0, 5000);
    }
    for (const node of [to, from]) await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', to.id);
  }
}

/** Resolves once the replica of a master has all of its writes. */
export async function isReplicated(master) {
  const has = (reply) => {
    const own = /master_repl_offset:(\d+)/.exec(reply)?.[1];
    return own !== undefined && own === /slave0:.*offset=(\d+)/.exec(reply)?.[1];
  };
  await master.until(has, 'INFO', 'replication');
}

/**
 * A master with a replica, and three sentinels that know both. Once `giveUp` is called, the replica takes the place of a
 * master that does not answer. Ends with the test.
 */
export async function startWatched(t, name) {
  const [master, replica] = await Promise.all([startRedis(t), startRedis(t)]);
  await replica.command('REPLICAOF', '127.0.0.1', master.port);
  await replica.until((reply) => reply.includes('master_link_status:up'), 'INFO', 'replication');
  const sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(t, name, master.port)));
  const seesAll = (reply) =>
    /num-slaves\r\n\$1\r\n1\r\n/.test(reply) && /num-other-sentinels\r\n\$1\r\n2\r\n/.test(reply);
  for (const sentinel of sentinels) await sentinel.until(seesAll, 'SENTINEL', 'MASTER', name);
  const giveUp = async () => {
    for (const sentinel of sentinels)
      await sentinel.command('SENTINEL', 'SET', name, 'down-after-milliseconds', 1000);
  };
  return { master, replica, sentinels, urls: sentinels.map(({ url }) => url), giveUp };
}

/** A sentinel is a server with a file that it writes. */
async function startSentinel(t, name, masterPort) {
  const directory = mkdtempSync(path.join(tmpdir(), 'sluice-sentinel-'));
  const port = await freePort();
  const file = path.join(directory, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${directory}`,
    `sentinel monitor ${name} 127.0.0.1 ${masterPort} 2`,
    `sentinel down-after-milliseconds ${name} ${PATIENT_MS}`,
    `sentinel failover-timeout ${name} 3000`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const child = spawn(program, [file, '--sentinel'], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
    rmSync(directory, { recursive: true, force: true });
  });
  const sentinel = new CommandClient(port);
  await sentinel.until((reply) => reply.includes('PONG'), 'PING');
  return sentinel;
}
