//! The engine of sluice: what one process decides for all of its threads.
//!
//! Nothing here knows Node.js, does I/O or sleeps. Time is an argument, in nanoseconds of the caller's
//! [`clock`](runtime::clock), so every rule can be tested at any moment of any year.
//!
//! ```
//! use sluice_core::{RateLimiter, RateLimiterOptions, runtime::key_hash::hash_str};
//!
//! let limiter = RateLimiter::new("api", RateLimiterOptions::single(2, 1_000).try_into()?);
//! let (client, now) = (hash_str("203.0.113.7"), 0);
//! assert!(limiter.try_consume(client, 1, now)?);
//! assert!(limiter.try_consume(client, 1, now)?);
//!
//! let refused = limiter.consume(client, 1, now)?;
//! assert!(!refused.allowed);
//! assert_eq!(refused.retry_after, Some(500_000_000)); // half a second: one of two per second
//! # Ok::<(), sluice_core::Error>(())
//! ```

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod broker;
mod circuit_breaker;
mod client_hub;
pub mod client_key;
mod connection_tracker;
pub mod deliveries;
mod error;
mod guard;
mod hit_counter;
mod key_table;
mod lease;
mod lifecycle;
mod load_shedder;
pub mod machine;
pub mod observation;
mod rate_limiter;
mod registry;
mod reputation;
pub mod runtime;
mod security_monitor;
mod semaphore;

pub use broker::{
    Batch, Body, Broker, BrokerConfig, BrokerEvent, BrokerOptions, BrokerStats, HEADER_LENGTH, Header,
    InboxItem, JoinRequest, Peer, PeerInfo, Route, SendRefusal, Shapes,
};
pub use circuit_breaker::{
    Answer, CircuitBreaker, CircuitBreakerConfig, CircuitBreakerOptions, CircuitBreakerStats, CircuitChange,
    CircuitState, CircuitStats, CircuitWindowOptions, Counts, LocalBreaker, Outcome, Refused, Request,
    Ticket, WindowOptions,
};
pub use client_hub::{
    CallId, Caller, ClientHub, ClientHubConfig, ClientHubOptions, ClientHubStats, Failed, Finished, HubEvent,
    HubFailure, HubValue, Joined, Retention,
};
pub use connection_tracker::{
    Connection, ConnectionEvent, ConnectionOptions, ConnectionTracker, ConnectionTrackerConfig,
    ConnectionTrackerOptions, ConnectionTrackerStats, HeldElsewhere, Opened, Place, Refusal,
};
pub use error::{Error, Result};
pub use guard::{
    AddressSource, ConcurrencyCaps, Guard, GuardConfig, GuardCounter, GuardOptions, GuardPart, PartName,
    RecordOptions,
};
pub use hit_counter::{
    Exceeding, Hit, HitCounter, HitCounterConfig, HitCounterOptions, HitCounterStats, Hits, KeptHits,
    LocalHitCounter, WindowLength,
};
pub use key_table::Overflow;
pub use lease::{Grant, GrantId, GrantShare, Held, HeldEach, Leases, LocalLease, Returned, Taken, TakenBack};
pub use lifecycle::{
    CancellationToken, HookError, HookOutcome, Lifecycle, LifecycleEvent, LifecycleState, Member,
    MemberCount, MemberEnd, ShutdownOptions, ShutdownReport, ShutdownRequest, ShutdownTimes, ThreadReport,
};
pub use load_shedder::{
    EventLoop, LoadShedder, LoadShedderConfig, LoadShedderOptions, LoadShedderStats, LocalShedder, Priority,
};
pub use rate_limiter::{
    AlgorithmKind, CallCounter, Decision, LimitOptions, LocalHandle, MAX_LIMITS, Quota, Rate, RateLimiter,
    RateLimiterConfig, RateLimiterOptions, RateLimiterStats, Receipt, RemoteState, RemoteVerdict, RemoteWord,
    Repaired, Scope, WaitId, WaitOutcome, WaitRequest, WaitStart, Waited, WaitingThread, Waits,
};
pub use registry::{Change, Entry, Registry, RegistryChange, Snapshot};
pub use reputation::{
    Ban, BanCause, BanChange, BanEvent, FOREVER, FailureSink, PersistOptions, RangeFiles, Reputation,
    ReputationConfig, ReputationOptions, ReputationRule, ReputationStats, SharedBan, Verdict,
};
pub use runtime::{
    Component, Instance, Instances, LATENCY_BOUNDS, LATENCY_BUCKETS, LatencyCounts, LatencyHistogram,
    OnMismatch, OptionChange, OptionList, ThreadId, VersionCells,
};
pub use security_monitor::{
    Action, Alert, Approached, EventId, HistoryEntry, HistoryQuery, LocalMonitor, MAX_DETAIL_BYTES,
    MAX_EVENTS, RuleOptions, SecurityMonitor, SecurityMonitorConfig, SecurityMonitorOptions,
    SecurityMonitorStats,
};
pub use semaphore::{
    Acquired, Hold, PermitWaitId, Semaphore, SemaphoreCaller, SemaphoreConfig, SemaphoreEvent,
    SemaphoreOptions, SemaphoreStats, Served,
};
