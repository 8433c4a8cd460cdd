//! Limits that many machines share: a Redis or Valkey server counts, this process asks.
//!
//! Every process has one connection to each server, which a thread of its own serves: to the one that is named, to the
//! master that sentinels name, or to each node of a cluster that keeps a part of the counts. Calls of all threads that are pending
//! at one time become one script call. A call is answered by the server or, once its deadline passes, without it; never
//! later, and what was answered without the server is not charged there afterwards.
//!
//! Nothing here knows Node.js. The rules that decide are those of [`sluice_core`], written once more in the scripts.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod answer;
mod back_off;
mod bans;
mod client_name;
mod composer;
mod connections;
mod counts;
mod deadline;
mod differences;
#[cfg(test)]
mod differential;
mod latch;
mod lease;
mod limiter;
mod link;
mod operation;
mod places;
mod plan;
mod remembered;
mod reply;
mod request;
mod script;
mod server;
#[cfg(test)]
mod test_server;
mod tls;

pub use answer::{Answer, Desk, Failure, Source, Ticket};
pub use bans::{FleetBans, FleetBansOptions, FleetBansStats};
pub use client_name::ClientName;
pub use connections::{FleetConnections, FleetConnectionsOptions, FleetConnectionsStats, PlaceRequest};
pub use counts::FleetCounts;
pub use differences::{Difference, on_difference, take_differences};
pub use lease::LocalFleet;
pub use limiter::{Asked, Call, FleetConfig, FleetLimiter, FleetOptions, Mode, OnError};
pub use link::{LinkState, LinkStats, NodeStats};
pub use operation::Operation;
pub use server::{AccountOptions, Server, Urls};
pub use tls::TlsOptions;
