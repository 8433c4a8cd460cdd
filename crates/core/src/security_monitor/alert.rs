//! Alerts.

use std::sync::Arc;

use super::detail::Detail;

/// A client met a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The rule's name.
    pub rule: Arc<str>,
    /// The event it counts.
    pub event: Arc<str>,
    /// The client, as [`client_key`](crate::client_key::client_key) names it.
    pub client: String,
    /// How many events, or different details, were in the window: the rule's count, as no more are kept.
    pub count: u64,
    /// The detail of the event that met the rule.
    pub detail: Option<Detail>,
    /// The date of that event, in UTC milliseconds.
    pub at: u64,
}
