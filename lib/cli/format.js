'use strict';

/* Numbers, times and spans as they are printed: the same in every locale, in the zone of the terminal. */

const DAY_MS = 86_400_000;
const BYTES = ['B', 'kB', 'MB', 'GB', 'TB'];
const UNITS = /** @type {[string, number][]} */ ([
  ['d', DAY_MS],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
]);

function count(value) {
  if (value < 10_000_000) return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
  return value.toLocaleString('en-US', { notation: 'compact', maximumFractionDigits: 1 });
}

/** Per second. */
function rate(value) {
  if (value === 0) return '0';
  if (value < 0.1) return '< 0.1';
  return value < 10 ? value.toFixed(1) : count(Math.round(value));
}

function percent(part, whole) {
  return whole === 0 ? '0 %' : `${Math.round((100 * part) / whole)} %`;
}

function bytes(value) {
  let [size, unit] = [value, 0];
  for (; size >= 1000 && unit < BYTES.length - 1; unit++) size /= 1000;
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${BYTES[unit]}`;
}

function milliseconds(value) {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** A span in its two largest units: `1 h 5 min`. */
function span(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const first = UNITS.findIndex(([, length]) => ms >= length);
  const [unit, length] = UNITS[first];
  const rest = UNITS[first + 1];
  const left = rest === undefined ? 0 : Math.floor((ms % length) / rest[1]);
  const whole = `${Math.floor(ms / length)} ${unit}`;
  return left === 0 ? whole : `${whole} ${left} ${rest[0]}`;
}

/** A time of day, with the date where it is another day. */
function time(at, now = Date.now()) {
  const date = new Date(at);
  const clock = date.toTimeString().slice(0, 8);
  if (date.toDateString() === new Date(now).toDateString()) return clock;
  const two = (value) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock}`;
}

function quota({ limit, windowMs }) {
  return `${count(limit)} per ${span(windowMs)}`;
}

module.exports = { bytes, count, milliseconds, percent, quota, rate, span, time };
