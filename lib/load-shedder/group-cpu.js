'use strict';

const { readFileSync } = require('node:fs');

const MEMBERSHIP = '/proc/self/cgroup';
/** Where systems mount the hierarchy of version 2, the first that has the group. */
const MOUNTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];

const MICROSECONDS = 1000;

let folder;

/**
 * What the control group of this process says of its processor time: `{ periods, throttled, throttledMs, pressure }`.
 * null without one (cgroup version 2 of Linux) that has a quota.
 */
function groupCpu() {
  folder ??= findFolder();
  const stat = folder === null ? null : read(`${folder}/cpu.stat`);
  if (stat === null) return null;
  const values = Object.fromEntries(stat.split('\n').map((line) => line.split(' ')));
  if (values.nr_periods === undefined) return null;
  return {
    periods: Number(values.nr_periods),
    throttled: Number(values.nr_throttled),
    throttledMs: Math.ceil(Number(values.throttled_usec) / MICROSECONDS),
    pressure: pressureOf(read(`${folder}/cpu.pressure`)),
  };
}

/** The share of time in which something waited for a processor, over 10, 60 and 300 s, in percent; null where unknown. */
function pressureOf(text) {
  const match = /^some avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+)/m.exec(text ?? '');
  return match === null
    ? null
    : { avg10: Number(match[1]), avg60: Number(match[2]), avg300: Number(match[3]) };
}

function findFolder() {
  const path = /^0::(\/.*)$/m.exec(read(MEMBERSHIP) ?? '')?.[1];
  if (path === undefined) return null;
  const folders = MOUNTS.map((mount) => `${mount}${path === '/' ? '' : path}`);
  return folders.find((one) => read(`${one}/cpu.stat`) !== null) ?? null;
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

module.exports = { groupCpu };
