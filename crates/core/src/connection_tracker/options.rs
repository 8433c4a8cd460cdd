//! Options of a tracker, and what of them is valid.

use crate::client_key::{DEFAULT_IPV6_PREFIX, client_key};
use crate::rate_limiter::gcra::Gcra;
use crate::rate_limiter::{MAX_SAFE_INTEGER, Scope};
use crate::runtime::instances::OptionList;
use crate::runtime::options::{Accepts, options};
use crate::{AlgorithmKind, Error, LimitOptions, Quota, RateLimiterConfig, RateLimiterOptions, Result};

/// Clients whose rate of opening is remembered: as many as a limiter holds by default.
const MAX_OPENING_CLIENTS: u64 = 1_000_000;
/// The same where processes share it, and clients with open connections where there is no `max`. All of the memory is
/// reserved.
const MAX_SHARED_CLIENTS: u64 = 100_000;
/// The highest `max` where processes share it.
const MAX_SHARED: u64 = 1_000_000;
/// Places of clients at least: each process needs one for a client, also while it is refused.
const MIN_SHARED_CLIENTS: u64 = 1_024;

/// The text for clients that are not addresses.
const OPAQUE: &str = "opaque";

options! {
    /// Options as a user gives them. What is left out is not limited.
    pub struct ConnectionTrackerOptions of "ConnectionTracker" {
        /// Most connections at once.
        max: Option<u64> = "max", Accepts::up_to(MAX_SAFE_INTEGER);
        /// Most connections of one client at once.
        max_per_client: Option<u64> = "maxPerClient", Accepts::up_to(MAX_SAFE_INTEGER);
        /// What clients are: addresses, counted as [`client_key`](crate::client_key::client_key) names them, or any
        /// texts.
        clients: String = "clients", Accepts::OneOf(&["ip", OPAQUE]), default "ip".to_owned();
        /// Leading bits of an IPv6 address that name one client.
        ipv6_prefix: u8 = "ipv6Prefix", Accepts::up_to(128), default DEFAULT_IPV6_PREFIX;
        /// How often a client may open.
        opens: Option<Quota> = "opens", Accepts::Other;
        /// Messages of one connection.
        messages: Option<Quota> = "messages", Accepts::Other;
        /// Bytes of one connection.
        bytes: Option<Quota> = "bytes", Accepts::Other;
        /// How long a connection may be idle: the default of `close_idle`.
        idle_timeout_ms: Option<u64> = "idleTimeout", Accepts::duration();
        /// Which machines count together.
        scope: Scope = "scope", Accepts::Other;
    }
}

impl Default for ConnectionTrackerOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Valid options.
#[derive(Clone, Debug)]
pub struct ConnectionTrackerConfig {
    pub(super) options: ConnectionTrackerOptions,
    pub(super) opens: Option<RateLimiterConfig>,
    pub(super) messages: Option<Gcra>,
    pub(super) bytes: Option<Gcra>,
    /// Clients are any texts, not addresses.
    has_opaque_clients: bool,
}

impl TryFrom<ConnectionTrackerOptions> for ConnectionTrackerConfig {
    type Error = Error;

    fn try_from(options: ConnectionTrackerOptions) -> Result<Self> {
        options.check_ranges()?;
        let gcra = |quota: Option<Quota>, owner| quota.map(|quota| quota.to_gcra(owner)).transpose();
        gcra(options.opens, "ConnectionTracker opens")?;
        Ok(Self {
            opens: options.opens.map(|opens| opens_limiter(opens, MAX_OPENING_CLIENTS)).transpose()?,
            messages: gcra(options.messages, "ConnectionTracker messages")?,
            bytes: gcra(options.bytes, "ConnectionTracker bytes")?,
            has_opaque_clients: options.clients == OPAQUE,
            options,
        })
    }
}

/// The limiter that counts how often clients open.
fn opens_limiter(quota: Quota, max_keys: u64) -> Result<RateLimiterConfig> {
    let limit = LimitOptions { name: "opens".to_owned(), quota, algorithm: AlgorithmKind::Gcra };
    let by_default = RateLimiterOptions::single(quota.limit, quota.window_ms);
    RateLimiterOptions { limits: vec![limit], max_keys, ..by_default }.try_into()
}

impl ConnectionTrackerConfig {
    /// This config, where processes share the tracker.
    ///
    /// # Errors
    /// More connections than processes can share.
    pub fn shared(self) -> Result<Self> {
        if let Some(max) = self.options.max.filter(|max| *max > MAX_SHARED) {
            let accepted = format!("at most {MAX_SHARED}, where processes share it");
            return Err(Error::invalid_option("ConnectionTracker max", max, accepted));
        }
        let opens = self.options.opens.map(|opens| opens_limiter(opens, MAX_SHARED_CLIENTS)).transpose()?;
        Ok(Self { opens, ..self })
    }

    /// Clients that a shared tracker which is created with this config has places for: each in one process. A client has as
    /// many as it has connections, at most.
    pub(super) fn shared_clients(&self) -> u64 {
        self.options.max.map_or(MAX_SHARED_CLIENTS, |max| max.saturating_mul(2).max(MIN_SHARED_CLIENTS))
    }

    /// The name under which a client is counted.
    pub(super) fn client(&self, text: &str) -> Result<String> {
        if self.has_opaque_clients {
            return Ok(text.to_owned());
        }
        client_key(text, self.options.ipv6_prefix)
    }

    /// Whether no other process counts the same connections.
    #[must_use]
    pub fn is_of_process(&self) -> bool {
        self.options.scope == Scope::default()
    }

    /// How clients are named.
    pub(super) fn clients_in_words(&self) -> String {
        if self.has_opaque_clients {
            return OPAQUE.to_owned();
        }
        format!("ip, ipv6Prefix {}", self.options.ipv6_prefix)
    }

    /// The options as the user would read them.
    pub(super) fn list(&self) -> OptionList {
        self.options.list()
    }
}
