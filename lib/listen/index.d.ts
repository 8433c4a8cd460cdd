import type { Server } from 'node:net';

export interface ListenOptions {
  /** 0 for a free port: the n-th server that each thread opens this way shares one, also across cluster workers. */
  port: number;
  /**
   * An address, or a host name.
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
 * Listens on a port together with all threads of this process that ask for it. They accept from one queue, so a
 * connection that is pending when a thread ends is served by another. The port closes with the last server. Cluster workers
 * of one primary share the port in the same way.
 *
 * Rejects as `server.listen` fails, with `EADDRINUSE` where another process or this thread itself has the port, and
 * with `UNSUPPORTED` on Windows, for `https` servers on Bun, and in threads of cluster workers outside Linux.
 */
export function listen(server: Server, options: ListenOptions): Promise<{ port: number }>;
