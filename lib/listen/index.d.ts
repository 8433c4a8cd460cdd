import type { Server } from 'node:net';

export interface ListenOptions {
  /** 0 for a free one: the n-th server that each thread opens so is on the same port, in all cluster workers too. */
  port: number;
  /**
   * An address, or a name of one.
   * @default all addresses, IPv6 and IPv4
   */
  host?: string;
  /**
   * Connections that may wait to be accepted.
   * @default 511
   */
  backlog?: number;
}

/**
 * Listens on a port together with all threads of this process that ask for it. They accept from one queue, so
 * that what waits when a thread ends is served by another; the port closes with the last server. Cluster workers of
 * one primary share the port likewise.
 *
 * Rejects as `server.listen` fails, with `EADDRINUSE` where another process or this thread itself has the port, and
 * with `UNSUPPORTED` on Windows, for `https` servers on Bun, and in threads of cluster workers outside Linux.
 */
export function listen(server: Server, options: ListenOptions): Promise<{ port: number }>;
