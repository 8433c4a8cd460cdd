// Machines of a fleet that share bans, as processes. They end with the test.
import { fork } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

const FILE = new URL('banning-process.cjs', import.meta.url).pathname;

export const RULES = { maxFailures: 5, findTime: '10m', banTime: '10m', maxBanTime: '7d' };

/** A process with a reputation of this name; resolves once it knows the bans of the others, unless `isReady` is false. */
export async function startMachine(t, name, options, isReady = true) {
  const machine = new Machine(name, { ...RULES, ...options });
  t.after(() => machine.kill());
  if (isReady) await machine.call('ready', { timeout: '30s' });
  return machine;
}

class Machine {
  #child;
  #pending = new Map();
  #nextId = 1;
  events = [];

  constructor(name, options) {
    this.#child = fork(FILE, [name, JSON.stringify(options)], { serialization: 'advanced' });
    this.#child.on('message', (message) => this.#receive(message));
  }

  /** The result of a method of the reputation there. */
  async call(method, ...args) {
    const { result } = await this.timed(method, ...args);
    return result;
  }

  /** As `call`, with the time at which it was done. */
  timed(method, ...args) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#child.send({ id, method, args });
    });
  }

  /** Resolves once an event of this kind and client has come. */
  async heard(event, client) {
    for (;;) {
      const found = this.events.find((one) => one.event === event && one.client === client);
      if (found !== undefined) return found;
      await delay(2);
    }
  }

  /** Resolves once the address is banned, or is not. */
  async until(isBanned, ip) {
    while ((await this.call('isBanned', ip)) !== isBanned) await delay(2);
  }

  /** Resolves once its part of the sharing is in this state. */
  async state(state) {
    while ((await this.call('stats')).fleet.state !== state) await delay(5);
  }

  /** Resolves once the server has all that was changed here. */
  async sent() {
    for (;;) {
      const { state, pending } = (await this.call('stats')).fleet;
      if (state === 'ready' && pending === 0) return;
      await delay(2);
    }
  }

  kill() {
    this.#child.kill('SIGKILL');
  }

  #receive({ id, error, ...message }) {
    if (id === undefined) return this.events.push(message);
    const { resolve, reject } = this.#pending.get(id);
    this.#pending.delete(id);
    if (error === undefined) resolve(message);
    else reject(Object.assign(new Error(error.message), error));
  }
}
