import type { OnMismatch } from '../runtime';

/** What a {@link Registry} holds: plain data. */
export type RegistryValue =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | readonly RegistryValue[]
  | { readonly [key: string]: RegistryValue };

/** A value as it is read: deeply frozen. */
export type Frozen<Value> = RegistryValue extends Value
  ? Value
  : { readonly [Key in keyof Value]: Frozen<Value[Key]> };

/** What {@link Registry} takes. */
export interface RegistryOptions {
  /** As of every named component. A registry has no other options, so none can differ. */
  onMismatch?: OnMismatch;
}

/** A key got another value, or none. */
export interface RegistryChange {
  key: string;
  /** The registry's version after the change. */
  version: number;
  /** Changes just before this one that were dropped, as more than 1024 waited. */
  missed?: number;
}

/** All values of a {@link Registry} at one moment. */
export interface RegistrySnapshot<Value = RegistryValue> extends ReadonlyMap<string, Frozen<Value>> {
  readonly version: number;
}

/**
 * A map of plain data that all threads share. A thread that reads a key gets the same frozen object until the key
 * is written again. Reads take no lock; each write copies the table of keys (not the values), so that a large
 * registry is filled with `replaceAll`.
 *
 * `Value` is what you put in; it says nothing at run time. Keys are non-empty strings without lone surrogates, else
 * `INVALID_KEY`; values that are no plain data are `INVALID_VALUE`, with the path to the part at fault. Every method
 * throws `CLOSED` after `Registry.destroy`.
 */
export class Registry<Value = RegistryValue> {
  /**
   * Creates the registry of this name, or attaches to it.
   *
   * @throws {SluiceError} `INVALID_NAME`, `INVALID_OPTION`.
   */
  constructor(name: string, options?: RegistryOptions);

  /** Ends the registry in all threads; false when there was none. Its name is free again. */
  static destroy(name: string): boolean;

  readonly name: string;

  /** The value, or `undefined` without one: a native number and a look-up while nothing is written. */
  get(key: string): Frozen<Value> | undefined;

  /**
   * As `get`, where a value must be there.
   *
   * @throws {SluiceError} `NOT_FOUND`.
   */
  getOrThrow(key: string): Frozen<Value>;

  has(key: string): boolean;

  /** Sets a value, whatever was there; returns the registry's version after it. */
  set(key: string, value: Value | Frozen<Value>): number;

  /** Sets a value where there is none; true when it did. Of many threads exactly one is told so. */
  setIfAbsent(key: string, value: Value | Frozen<Value>): boolean;

  /**
   * Sets what `change` makes of the value, and returns it. `change` is called again when another thread wrote
   * in between, so it should only compute: a function that writes `key` itself each time it is called gets
   * `ERR_SLUICE_UNSUPPORTED`.
   */
  update(key: string, change: (value: Frozen<Value> | undefined) => Value | Frozen<Value>): Frozen<Value>;

  /** True when there was a value. */
  delete(key: string): boolean;

  keys(): IterableIterator<string>;

  /** Of one moment, as of `snapshot`. */
  entries(): IterableIterator<[string, Frozen<Value>]>;

  [Symbol.iterator](): IterableIterator<[string, Frozen<Value>]>;

  readonly size: number;

  /** Raised by every change of any key. */
  readonly version: number;

  /** All values at one moment, as a map that cannot be changed. */
  snapshot(): RegistrySnapshot<Value>;

  /**
   * Makes these the only values, in one moment; returns the version after it. Keys whose value stays the same
   * keep their object, and nobody is told of them.
   */
  replaceAll(
    entries:
      | Iterable<readonly [string, Value | Frozen<Value>]>
      | Readonly<Record<string, Value | Frozen<Value>>>,
  ): number;

  /** Calls the listener for each change of any thread from now on, in order. It keeps no thread alive. */
  on(event: 'change', listener: (change: RegistryChange) => void): this;
  once(event: 'change', listener: (change: RegistryChange) => void): this;
  off(event: 'change', listener: (change: RegistryChange) => void): this;
}
