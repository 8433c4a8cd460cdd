// Targets beside measured values; the verdict follows from the two alone.
import { table } from './table.mjs';

/** Each target has one of `atMost`, `atLeast` and `below`; its `value` is undefined if it was not measured. */
export function targetsSection(targets) {
  const rows = targets.map((target) => [target.what, measured(target), bound(target), verdict(target)]);
  return `## Targets\n\n${table(['what', 'measured', 'target', ''], rows)}`;
}

function measured({ value, unit }) {
  if (value === undefined) return '–';
  return `${value < 0.1 ? value.toFixed(4) : value.toFixed(2)} ${unit}`;
}

function bound({ atMost, atLeast, below, unit }) {
  if (atMost !== undefined) return `≤ ${atMost} ${unit}`;
  return atLeast === undefined ? `< ${below} ${unit}` : `≥ ${atLeast} ${unit}`;
}

function verdict({ value, atMost = Infinity, atLeast = -Infinity, below = Infinity }) {
  if (value === undefined) return 'not measured';
  return value <= atMost && value >= atLeast && value < below ? 'met' : '**not met**';
}
