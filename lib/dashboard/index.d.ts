import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

/** Node's request, as a dashboard gets it. */
export type DashboardRequest = IncomingMessage | Http2ServerRequest;

/** What an operator did by the page. */
export interface DashboardAction {
  type: 'action';
  action:
    | 'admit'
    | 'unban'
    | 'ban'
    | 'block'
    | 'reset'
    | 'reconfigure'
    | 'dryRun'
    | 'isolate'
    | 'closeCircuit';
  /** The key of the client that it concerns. */
  client?: string;
  /** The limiter, the reputation or the breaker that it was done in. */
  source?: string;
  /** The target of the circuit that it concerns. */
  target?: string;
  /** What was done, as a sentence. */
  what: string;
  /** The operator, as `user` named them. */
  user: string;
  /** UTC in milliseconds. */
  at: number;
}

export interface DashboardOptions {
  /**
   * Where the page is, without a slash at its end. Needed for plain servers and in routers of Express; elsewhere the
   * framework tells it.
   */
  path?: string;
  /**
   * What the page is called.
   *
   * @default the guard's name, or `'sluice'`
   */
  title?: string;
  /**
   * Whether the page only shows, and refuses every action.
   *
   * @default true
   */
  readOnly?: boolean;
  /**
   * Whether a request may see the page: only `true` lets it in. It is asked for each request, and every minute for a page
   * that is open. Without it the page answers only requests of this machine to this machine.
   */
  authorize?: (req: DashboardRequest) => boolean | Promise<boolean>;
  /**
   * The name of the operator that acts, for the journal.
   *
   * @default the remote address
   */
  user?: (req: DashboardRequest) => string | Promise<string>;
  /** Origins of the page besides the host that requests name, such as `'https://admin.example.com'` behind a proxy. */
  allowedOrigins?: readonly string[];
  /**
   * How a client's key is shown.
   *
   * @default addresses whole, of other keys 6 characters and a hash
   */
  showKey?: (key: string) => string;
  /**
   * Most pages that are open at once in one thread, from 1 to 1000.
   *
   * @default 20
   */
  maxViewers?: number;
  /** Called in the thread that carried out an action. */
  onAction?: (action: DashboardAction) => void;
}

/** A dashboard for `app.use('/sluice', …)`, for plain servers, and as plugin for Fastify. */
export interface Dashboard {
  (
    req: IncomingMessage | Http2ServerRequest,
    res: ServerResponse | Http2ServerResponse,
    next?: (error?: unknown) => void,
  ): void;
  /** For `fastify.register(dashboard.fastify, { prefix: '/sluice' })`. */
  readonly fastify: (instance: object, options: object) => Promise<void>;
}

/**
 * A page about all guards and components of the process, whichever threads created them. The first dashboard of the process
 * starts what it shows of the past: the last hour, and the clients that are refused most.
 *
 * @throws {SluiceError} `INVALID_OPTION`.
 */
export function dashboard(options?: DashboardOptions): Dashboard;
