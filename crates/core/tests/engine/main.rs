//! The engine through its public interface. One binary: a file by itself takes longer to compile and link than to run.

mod circuit_breaker;
mod client_hub;
mod client_hub_failures;
mod client_hub_threads;
mod connection_tracker;
mod key_flood;
mod key_hash;
mod key_hash_attacks;
mod key_hash_exact;
mod lifecycle;
mod rate_limiter;
mod reference;
mod reputation;
mod reputation_clients;
mod reputation_events;
mod reputation_file;
mod reputation_lists;
mod security_monitor;
mod support;
