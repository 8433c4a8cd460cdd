import type {
  ArgumentsHost,
  CanActivate,
  ConfigurableModuleAsyncOptions,
  DynamicModule,
  ExceptionFilter,
  ExecutionContext,
} from '@nestjs/common';
import { HttpException } from '@nestjs/common';
import type * as guard from './lib/guard';
import type { Priority } from './lib/load-shedder';
import type { RateLimiterOptions } from './lib/rate-limiter';

export type {
  Guard,
  GuardClient,
  GuardDecision,
  GuardedRequest,
  GuardStats,
  Problem,
  Refusal,
} from './lib/guard';

// biome-ignore lint/suspicious/noExplicitAny: the platform, Express or Fastify, is not known to the types.
type AnyRequest = any;

type OwnFunctions = 'cost' | 'handler' | 'hook' | 'key' | 'priority' | 'rateLimit' | 'skip';

/** A route of Nest has no `concurrency` of its own. */
type NotOfRoutes = 'concurrency';

/** A limit that is a function of the request, for example of the client's plan. */
export type SluiceDynamicLimit<Request = AnyRequest> = Omit<guard.DynamicRateLimit<Request>, 'limit'> & {
  limit: (request: Request, context: ExecutionContext) => number | Promise<number>;
};

/** Options of a route. Functions receive the request of Express or Fastify, and Nest's context. */
export interface SluiceRouteOptions<Request = AnyRequest>
  extends Omit<guard.RuleOptions<Request, never>, OwnFunctions | NotOfRoutes> {
  /** Quota per key; `false` for none. */
  rateLimit?: RateLimiterOptions | SluiceDynamicLimit<Request> | false;
  /**
   * The key whose quota a request is charged to.
   *
   * @default the client's address
   */
  key?: (request: Request, context: ExecutionContext) => guard.RequestKey | Promise<guard.RequestKey>;
  /**
   * How many units a request costs, a positive integer.
   *
   * @default 1
   */
  cost?: number | ((request: Request, context: ExecutionContext) => number | Promise<number>);
  /** Requests for which it returns true are neither charged nor refused. */
  skip?: (request: Request, context: ExecutionContext) => boolean | Promise<boolean>;
  /**
   * How much requests matter under `overload`.
   *
   * @default 'normal'
   */
  priority?: Priority | ((request: Request, context: ExecutionContext) => Priority);
  /** Routes with the same name share a limiter; each of them gives its `rateLimit`. */
  name?: string;
}

/** Options of the guard of an application. */
export type SluiceModuleOptions<Request = AnyRequest> = Omit<
  guard.GuardOptions<Request, never>,
  OwnFunctions
> &
  SluiceRouteOptions<Request>;

/** A class that makes the options, for `useClass` and `useExisting` of `forRootAsync`. */
export interface SluiceOptionsFactory {
  createSluiceOptions(): SluiceModuleOptions | Promise<SluiceModuleOptions>;
}

interface ModuleExtras {
  /**
   * Whether other modules can use the guard without importing this one.
   *
   * @default true
   */
  isGlobal?: boolean;
}

/** Creates the guard of an application, or attaches to it, and decides on connections of its server at accept. */
// biome-ignore lint/complexity/noStaticOnlyClass: modules of Nest are classes.
export class SluiceModule {
  /** @throws {SluiceError} when the application starts: `INVALID_NAME`, `INVALID_OPTION`, `CONFIG_MISMATCH`. */
  static forRoot(options?: SluiceModuleOptions & ModuleExtras): DynamicModule;
  static forRootAsync(
    options: ConfigurableModuleAsyncOptions<SluiceModuleOptions, 'createSluiceOptions'> & ModuleExtras,
  ): DynamicModule;
}

/**
 * Stands before routes: as a provider of `APP_GUARD` before all, by `@UseGuards(SluiceGuard)` before some. A request that
 * several of them stand before is charged once. A refused one gets a {@link SluiceException}.
 */
export class SluiceGuard implements CanActivate {
  /** Nest makes it. */
  constructor(application: SluiceApplication);
  /** @throws {SluiceError} `UNSUPPORTED` for a context without a request, such as a message of a gateway. */
  canActivate(context: ExecutionContext): Promise<boolean>;
}

/** The guard of an application, for injection: `constructor(application: SluiceApplication)`. */
export class SluiceApplication {
  private constructor();
  readonly guard: guard.Guard;
}

/**
 * Options of a route, or of each route of a controller, in the place of the module's. Each route has a limiter of its own,
 * unless it has a `name`. A route's decorator replaces its controller's.
 *
 * @throws {SluiceError} `INVALID_OPTION`, `INVALID_NAME`.
 */
export function Sluice(options?: SluiceRouteOptions): ClassDecorator & MethodDecorator;

/** Exempts a route, or the routes of a controller, from the limit. Bans and connection caps apply. */
export function SkipSluice(): ClassDecorator & MethodDecorator;

/** A refused request. The response has the headers of the refusal already. */
export class SluiceException extends HttpException {
  constructor(refusal: guard.Refusal);
  readonly refusal: guard.Refusal;
}

/** Answers refused requests with `application/problem+json`; without it they get the same body as `application/json`. */
export class SluiceExceptionFilter implements ExceptionFilter<SluiceException> {
  /** Returns the exception where the host is not one of HTTP, as drivers of GraphQL take it. */
  catch(exception: SluiceException, host: ArgumentsHost): SluiceException | undefined;
}

declare global {
  namespace Express {
    interface Request {
      /** The guard's decision; of several guards, the latest. */
      sluice?: guard.GuardDecision;
    }
  }
}
