/** `true` if the types are identical; `any` equals only itself. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Does not compile unless its type argument is `true`. */
export function expect<_True extends true>(..._values: unknown[]): void {}
