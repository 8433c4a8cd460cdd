// Measures memory in a separate process, with the garbage collector exposed, and prints the result.
'use strict';

const { once } = require('node:events');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

const root = path.join(__dirname, '..', '..');
const sluice = require(root);
const { CircuitBreaker, ConnectionTracker, Lifecycle, RateLimiter, Registry, SecurityMonitor } = sluice;

const HOUR = { limit: 10, window: '1h' };
const MiB = 2 ** 20;

const megabytes = (bytes) => Math.round(bytes / MiB);
const resident = () => process.memoryUsage.rss();

/** What `run` adds to the resident memory, in MiB. */
async function growth(run) {
  await settle();
  const before = resident();
  const kept = await run();
  const grown = megabytes(resident() - before);
  return { grown, kept };
}

/** Collects garbage and lets finalizers run. */
async function settle() {
  for (let turn = 0; turn < 5; turn++) {
    global.gc();
    await pause(1);
  }
}

function charge(limiter, count) {
  for (let i = 0; i < count; i++) limiter.tryConsume(`client ${i}`);
}

/** Another thread that has used a limiter and blocks in `Atomics.wait` while it holds it. */
async function startHolder(name, count) {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(__filename, { workerData: { name, count, gate } });
  await once(worker, 'message');
  return {
    release: async () => {
      Atomics.store(gate, 0, 1);
      Atomics.notify(gate, 0);
      const [answer] = await once(worker, 'message');
      await worker.terminate();
      return answer;
    },
  };
}

function hold({ name, count, gate }) {
  const limiter = new RateLimiter(name);
  charge(limiter, count);
  parentPort.postMessage('held');
  Atomics.wait(gate, 0, 0);
  try {
    limiter.tryConsume('client 1');
  } catch (error) {
    parentPort.postMessage(error.code);
  }
}

const SCENARIOS = {
  /** Fifty limiters without keys. */
  async emptyLimiters() {
    const { grown } = await growth(() =>
      Array.from({ length: 50 }, (_, i) => new RateLimiter(`route ${i}`, HOUR)),
    );
    return grown;
  },

  async emptyLargeLimiter() {
    return (await growth(() => new RateLimiter('large', { ...HOUR, maxKeys: 20_000_000 }))).grown;
  },

  /** A hundred limiters with several limits and a small, exact `maxKeys`. */
  async emptySmallLimiters() {
    const limits = [HOUR, { name: 'other', limit: 100, window: '1d' }].map((limit, i) => ({
      name: `${i}`,
      ...limit,
    }));
    const { grown } = await growth(() =>
      Array.from({ length: 100 }, (_, i) => new RateLimiter(`small ${i}`, { limits, maxKeys: 16_384 })),
    );
    return grown;
  },

  async emptyMonitor() {
    const options = { rules: [], history: 1_000_000, maxClients: 10_000_000 };
    return (await growth(() => new SecurityMonitor('large', options))).grown;
  },

  /** Without a turn of the event loop: the memory is released by `destroy`, not by the garbage collector. */
  async destroyedLimiters() {
    const { grown } = await growth(() => {
      const held = [];
      for (let i = 0; i < 300; i++) {
        const limiter = new RateLimiter(`limiter ${i}`, HOUR);
        charge(limiter, 2_000);
        limiter.block('client 1', '1h');
        RateLimiter.destroy(limiter.name);
        held.push(limiter);
      }
      return held;
    });
    return grown;
  },

  /** What `destroy` releases at once while this thread and another hold the limiter. */
  async destroyedWhileHeld() {
    const limiter = new RateLimiter('shared', { limit: 10, window: '1h' });
    const holder = await startHolder('shared', 100_000);
    await settle();
    const before = resident();
    RateLimiter.destroy('shared');
    const freed = megabytes(before - resident());
    return { freed, name: limiter.name, late: await holder.release() };
  },

  /**
   * The external memory reported to V8, in MiB: of an empty table, in use here, in use by two threads, and destroyed.
   */
  async reported() {
    await settle();
    const { bytesKnownToV8 } = require(path.join(root, 'lib', 'runtime', 'native.js')).native;
    const before = bytesKnownToV8();
    const reported = () => (bytesKnownToV8() - before) / MiB;
    const limiter = new RateLimiter('reported', { limit: 10, window: '1h' });
    const empty = reported();
    charge(limiter, 5_000);
    const own = reported();
    const holder = await startHolder('reported', 100_000);
    await pause(20);
    const all = reported();
    RateLimiter.destroy('reported');
    const destroyed = reported();
    await holder.release();
    return { empty, own, all, destroyed };
  },

  /** Bytes left behind per cycle of creating, subscribing and destroying. */
  async cycles(kind, count) {
    const { create, destroy } = CYCLES[kind];
    const run = async (from, to) => {
      for (let i = from; i < to; i++) {
        create(`${kind} ${i}`);
        destroy(`${kind} ${i}`);
        // Collects often, since resident memory keeps the peak of garbage. Node runs finalizers when its event loop is
        // idle, which a loop of timers that are already due would prevent.
        if (i % 100 === 0) {
          global.gc();
          await pause(3);
        }
      }
      await settle();
      const { heapUsed, external: outside } = process.memoryUsage();
      return { heap: heapUsed + outside, rss: resident() };
    };
    const before = await run(0, count / 5);
    const after = await run(count / 5, count);
    return {
      heap: Math.round((after.heap - before.heap) / (0.8 * count)),
      rss: Math.round((after.rss - before.rss) / (0.8 * count)),
    };
  },

  /** KiB left behind per reload of the package. */
  async resets(count) {
    const reset = () => {
      for (const file of Object.keys(require.cache)) {
        if (file.startsWith(root) && file !== __filename) delete require.cache[file];
      }
      // Node keeps the children of a module; test runners do not.
      module.children.length = 0;
      const fresh = require(root);
      const limiter = new fresh.RateLimiter('reset', HOUR);
      limiter.consume('client');
      fresh.RateLimiter.destroy('reset');
      const registry = new fresh.Registry('reset').on('change', () => {});
      registry.set('key', 1);
      fresh.Registry.destroy('reset');
    };
    const run = async (times) => {
      for (let i = 0; i < times; i++) {
        reset();
        if (i % 10 === 0) await settle();
      }
      await settle();
      return process.memoryUsage().heapUsed;
    };
    const before = await run(20);
    return Math.round(((await run(count)) - before) / count / 1024);
  },
};

const SERVER = { emit() {}, listen() {}, close() {}, once() {} };

const CYCLES = {
  registry: {
    create: (name) => new Registry(name).on('change', () => {}).set('key', 'value'),
    destroy: Registry.destroy,
  },
  monitor: {
    create: (name) => new SecurityMonitor(name, { rules: [], history: 10 }).on('alert', () => {}),
    destroy: SecurityMonitor.destroy,
  },
  breaker: {
    create: (name) => new CircuitBreaker(name, { openFor: '1s' }).on('open', () => {}),
    destroy: CircuitBreaker.destroy,
  },
  lifecycle: {
    create: (name) => new Lifecycle(name).on('change', () => {}).ready(),
    destroy: Lifecycle.destroy,
  },
  tracker: {
    create: (name) => {
      const tracker = new ConnectionTracker(name, { max: 10, idleTimeout: '1m' });
      tracker.attach({ ...SERVER });
      tracker.tryOpen('203.0.113.1', { onClose() {} }).close();
      tracker.tryOpen('203.0.113.1');
      tracker.drain({ timeout: 0 });
    },
    destroy: ConnectionTracker.destroy,
  },
  limiter: {
    create: (name) => charge(new RateLimiter(name, HOUR), 3),
    destroy: RateLimiter.destroy,
  },
  hub: {
    create: (name) => new sluice.ClientHub(name).getOrInit('key', async () => 'value').catch(() => {}),
    destroy: sluice.ClientHub.destroy,
  },
  broker: {
    create: (name) => new sluice.Broker(name).handle('endpoint', () => 1).on('message', () => {}),
    destroy: sluice.Broker.destroy,
  },
  reputation: {
    create: (name) => {
      const times = { maxFailures: 2, findTime: '1m', banTime: '1m', maxBanTime: '1h' };
      new sluice.Reputation(name, times).recordFailure('203.0.113.1');
    },
    destroy: sluice.Reputation.destroy,
  },
};

if (isMainThread) {
  const [scenario, ...args] = JSON.parse(process.argv[2]);
  SCENARIOS[scenario](...args).then((found) => {
    console.log(JSON.stringify(found));
    process.exit(0);
  });
} else {
  hold(workerData);
}
