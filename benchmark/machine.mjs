// The machine and the versions that a run was measured with.
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { peers } from './setup.mjs';

export const cores = os.availableParallelism();

export function describeMachine() {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return {
    CPU: `${os.cpus()[0]?.model ?? process.arch}, ${cores} ${cores === 1 ? 'core' : 'cores'}`,
    memory: `${(os.totalmem() / 2 ** 30).toFixed(0)} GiB`,
    system: `${os.type()} ${os.release().split('-')[0]}, ${process.arch}`,
    'Node.js': `${process.versions.node} (V8 ${process.versions.v8})`,
    sluice: version,
    against: peers()
      .map((peer) => peer.join(' '))
      .join(', '),
    date: new Date().toISOString().slice(0, 10),
  };
}

/** The load average of the last minute, which includes the benchmark itself. */
export function load() {
  return os.loadavg()[0];
}
