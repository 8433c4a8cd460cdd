// Deeply nested values, as in request bodies (objects and arrays) or from code only (maps and sets).

const WRAPS = {
  objects: (inner) => ({ inner }),
  arrays: (inner) => [inner],
  maps: (inner) => new Map([['inner', inner]]),
  sets: (inner) => new Set([inner]),
};

/** A value with `levels` levels of one kind. */
export function nested(levels, kind = 'objects') {
  let value = 'end';
  for (let level = 0; level < levels; level++) value = WRAPS[kind](value);
  return value;
}

/** The number of levels. */
export function levelsOf(value) {
  let levels = 0;
  for (let rest = value; typeof rest === 'object'; levels++) {
    [rest] = rest instanceof Map || rest instanceof Set ? rest.values() : Object.values(rest);
  }
  return levels;
}

/**
 * A value that is shallow when it is inspected and 1500 levels deep when it is serialized, which a thread with half a
 * megabyte of stack cannot deserialize.
 */
export function unreadable() {
  let reads = 0;
  return {
    // Not representable in JSON.
    n: 1n,
    get deep() {
      reads += 1;
      return reads > 1 ? nested(1500) : 'plain';
    },
  };
}

/** Options of a thread that can deserialize some 600 levels. */
export const NARROW = { resourceLimits: { stackSizeMb: 0.5 } };
