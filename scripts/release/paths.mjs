// Where a release is put together, and what its binaries may require.
import path from 'node:path';
import { root } from '../addon.mjs';

/** The binaries, one for each platform. */
export const artifacts = path.join(root, 'artifacts');

/** The packages as they are published: `npm/<platform>`, `npm/sluice` and `npm/sluice-build`. */
export const packages = path.join(root, 'npm');

/** The C library that binaries for glibc are linked with: they load on this version and all newer ones. */
export const GLIBC = '2.17';
