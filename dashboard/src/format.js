// Numbers, times and spans as they are shown, in the viewer's zone and language.

const integer = new Intl.NumberFormat();
const compact = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

const DAY_MS = 86_400_000;
const BYTES = ['B', 'kB', 'MB', 'GB', 'TB'];
const UNITS = [
  ['d', DAY_MS],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
];

export const count = (value) => (Math.abs(value) < 100_000 ? integer.format(value) : compact.format(value));

/** `1 ban`, `3 bans`. */
export const counted = (value, what) => `${count(value)} ${what}${value === 1 ? '' : 's'}`;

/** Per second: small rates keep a digit. */
export function rate(value) {
  if (value === 0) return '0/s';
  if (value < 0.1) return '< 0.1/s';
  return `${value < 10 ? value.toFixed(1) : count(Math.round(value))}/s`;
}

export function percent(part, whole) {
  if (whole === 0) return '0 %';
  const share = (100 * part) / whole;
  return `${share > 0 && share < 10 ? share.toFixed(1) : Math.round(share)} %`;
}

export function bytes(value) {
  let [size, unit] = [value, 0];
  for (; size >= 1000 && unit < BYTES.length - 1; unit++) size /= 1000;
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${BYTES[unit]}`;
}

export const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : count(Math.round(value))} ms`;

/** A span in its two largest units: `1 h 5 min`. */
export function span(ms) {
  if (ms < 1000) return 'less than 1 s';
  const first = UNITS.findIndex(([, length]) => ms >= length);
  const [unit, length] = UNITS[first];
  const whole = Math.floor(ms / length);
  const rest = UNITS[first + 1];
  const left = rest === undefined ? 0 : Math.floor((ms % length) / rest[1]);
  return left === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${left} ${rest[0]}`;
}

/** A time of today without its date. */
export function time(at) {
  return Math.abs(Date.now() - at) < DAY_MS / 2 ? clock.format(at) : date.format(at);
}

/** How a quota is read: `100 per 1 min`. */
export const quota = ({ limit, windowMs }) => `${count(limit)} per ${span(windowMs)}`;
