/// <reference types="node" />

export {
  Broker,
  BrokerCounts,
  BrokerHandler,
  BrokerOptions,
  BrokerPeer,
  BrokerRequest,
  BrokerStats,
  CallOptions,
  CarriedError,
  PeerEvent,
} from './lib/broker';
export {
  LeaveOptions,
  RestartOptions,
  SpawnOptions,
  WorkerGroup,
  WorkerState,
} from './lib/broker/workers';
export {
  BreakerOpenError,
  CircuitBreaker,
  CircuitBreakerOptions,
  CircuitBreakerStats,
  CircuitChange,
  CircuitState,
  CircuitStats,
  CircuitWindow,
  FireOptions,
  Permit,
} from './lib/circuit-breaker';
export {
  ClientHub,
  ClientHubOptions,
  ClientHubStats,
  GetOrInitOptions,
  HubClient,
  HubClientOptions,
  HubValue,
} from './lib/client-hub';
export {
  ClientKeyOptions,
  clientKey,
} from './lib/client-key';
export {
  AttachOptions,
  Connection,
  ConnectionRefusal,
  ConnectionTracker,
  ConnectionTrackerOptions,
  ConnectionTrackerStats,
  FleetConnectionsStats,
} from './lib/connection-tracker';
export {
  Dashboard,
  DashboardAction,
  DashboardOptions,
  DashboardRequest,
  dashboard,
} from './lib/dashboard';
export type {
  ConcurrencyOptions,
  CorsOptions,
  Guard,
  GuardClient,
  GuardDecision,
  GuardedListener,
  GuardHandler,
  GuardHonoMiddleware,
  GuardHttp,
  GuardKoaMiddleware,
  GuardMiddleware,
  GuardOptions,
  GuardPlugin,
  GuardShutdown,
  GuardStats,
  Problem,
  RateDecision,
  RecordEntry,
  Refusal,
  RefusedBodyOptions,
  RequestKey,
} from './lib/guard';
export { createGuard } from './lib/guard';
export {
  CountedHits,
  DumpedHits,
  HitCount,
  HitCounter,
  HitCounterOptions,
  HitCounterStats,
  HitRule,
} from './lib/hit-counter';
export {
  Inspection,
  InspectOptions,
  inspect,
} from './lib/inspection';
export {
  HealthOptions,
  HookOutcome,
  Lifecycle,
  LifecycleChange,
  LifecycleOptions,
  LifecycleState,
  LifecycleToken,
  ShutdownHookOptions,
  ShutdownOptions,
  ShutdownReport,
  SignalOptions,
  ThreadShutdownReport,
} from './lib/lifecycle';
export {
  ListenOptions,
  listen,
} from './lib/listen';
export {
  LoadShedder,
  LoadShedderCpu,
  LoadShedderOptions,
  LoadShedderStats,
  Priority,
} from './lib/load-shedder';
export { MetricsOptions, metrics } from './lib/metrics';
export {
  AcquiredDecision,
  AcquireOptions,
  Algorithm,
  Decision,
  FleetAccount,
  FleetCluster,
  FleetScope,
  FleetSentinels,
  FleetServer,
  FleetStats,
  FleetTls,
  GcraLimit,
  KeyHandle,
  LimiterScope,
  LimitOptions,
  RateLimiter,
  RateLimiterOptions,
  RateLimiterStats,
  SeveralLimitsOptions,
  SingleLimitOptions,
  WindowLimit,
} from './lib/rate-limiter';
export {
  Frozen,
  Registry,
  RegistryChange,
  RegistryOptions,
  RegistrySnapshot,
  RegistryValue,
} from './lib/registry';
export {
  Ban,
  BanBegun,
  BanCause,
  BanChange,
  FleetBansStats,
  PersistOptions,
  Reputation,
  ReputationEvents,
  ReputationOptions,
  ReputationStats,
  Verdict,
} from './lib/reputation';
export {
  DestroyOptions,
  Duration,
  MachineScope,
  MachineStats,
  OnMismatch,
  QuotaOptions,
  SluiceError,
  SluiceErrorCode,
} from './lib/runtime';
export {
  SecurityAlert,
  SecurityEvent,
  SecurityHistory,
  SecurityMonitor,
  SecurityMonitorOptions,
  SecurityMonitorStats,
  SecurityRule,
} from './lib/security-monitor';
export {
  PermitOptions,
  Semaphore,
  SemaphoreOptions,
  SemaphorePermit,
  SemaphoreStats,
  TryPermitOptions,
} from './lib/semaphore';
