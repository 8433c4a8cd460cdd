// Values that are nested: what bodies of requests may be, and what only code makes.

const WRAPS = {
  objects: (inner) => ({ inner }),
  arrays: (inner) => [inner],
  maps: (inner) => new Map([['inner', inner]]),
  sets: (inner) => new Set([inner]),
};

/** A value with so many levels of one kind. */
export function nested(levels, kind = 'objects') {
  let value = 'end';
  for (let level = 0; level < levels; level++) value = WRAPS[kind](value);
  return value;
}

/** How many levels there are. */
export function levelsOf(value) {
  let levels = 0;
  for (let rest = value; typeof rest === 'object'; levels++) {
    [rest] = rest instanceof Map || rest instanceof Set ? rest.values() : Object.values(rest);
  }
  return levels;
}

/**
 * A value that is plain each time it is looked at, until it is serialized: a thread with half a megabyte of stack cannot
 * read what that comes to.
 */
export function unreadable() {
  let reads = 0;
  return {
    // No JSON says this.
    n: 1n,
    get deep() {
      reads += 1;
      return reads > 1 ? nested(1500) : 'plain';
    },
  };
}

/** A thread that reads some 600 levels. */
export const NARROW = { resourceLimits: { stackSizeMb: 0.5 } };
