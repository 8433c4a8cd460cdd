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
  /** Accepted as for every named component. A registry has no other options, so none can differ. */
  onMismatch?: OnMismatch;
}

/** A key got another value, or was deleted. */
export interface RegistryChange {
  key: string;
  /** The registry's version after the change. */
  version: number;
  /** Changes just before this one that were dropped because more than 1024 were pending. */
  missed?: number;
}

/** All values of a {@link Registry} at one moment. */
export interface RegistrySnapshot<Value = RegistryValue> extends ReadonlyMap<string, Frozen<Value>> {
  readonly version: number;
}

/**
 * A map of plain data that all threads share. A thread that reads a key gets the same frozen object until the key
 * is written again. Reads take no lock. Each write copies the table of keys (not the values): fill a large registry with
 * `replaceAll`.
 *
 * `Value` is the type of the values; it is not checked at run time. Keys are non-empty strings without lone surrogates,
 * otherwise `INVALID_KEY`. Values that are not plain data are `INVALID_VALUE`, with the path to the invalid part. Every
 * method throws `CLOSED` after `Registry.destroy`.
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

  /** The value, or `undefined` if there is none. Two look-ups while no thread writes. */
  get(key: string): Frozen<Value> | undefined;

  /**
   * As `get`, for a value that must exist.
   *
   * @throws {SluiceError} `NOT_FOUND`.
   */
  getOrThrow(key: string): Frozen<Value>;

  has(key: string): boolean;

  /** Sets a value, whether or not the key has one; returns the registry's version after the write. */
  set(key: string, value: Value | Frozen<Value>): number;

  /** Sets a value if the key has none; true when it did. Of several threads that try, exactly one gets `true`. */
  setIfAbsent(key: string, value: Value | Frozen<Value>): boolean;

  /**
   * Sets the value that `change` returns for the current one, and returns it. `change` is called again when another
   * thread wrote in between, so it should only compute. A function that writes `key` itself on every call gets
   * `ERR_SLUICE_UNSUPPORTED`.
   */
  update(key: string, change: (value: Frozen<Value> | undefined) => Value | Frozen<Value>): Frozen<Value>;

  /** Deletes a key; true when it had a value. */
  delete(key: string): boolean;

  keys(): IterableIterator<string>;

  /** The entries at one moment, as in `snapshot`. */
  entries(): IterableIterator<[string, Frozen<Value>]>;

  [Symbol.iterator](): IterableIterator<[string, Frozen<Value>]>;

  readonly size: number;

  /** Raised by every write of any key. */
  readonly version: number;

  /** All values at one moment, as a read-only map. */
  snapshot(): RegistrySnapshot<Value>;

  /**
   * Makes these the only values, in one step; returns the version after it. Keys whose value stays the same keep their
   * object, and no change is sent for them.
   */
  replaceAll(
    entries:
      | Iterable<readonly [string, Value | Frozen<Value>]>
      | Readonly<Record<string, Value | Frozen<Value>>>,
  ): number;

  /** Calls the listener for each change by any thread from now on, in order. A listener keeps no thread alive. */
  on(event: 'change', listener: (change: RegistryChange) => void): this;
  once(event: 'change', listener: (change: RegistryChange) => void): this;
  off(event: 'change', listener: (change: RegistryChange) => void): this;
}
