//! Options of a tracker, and what of them is valid.

use crate::client_key::client_key;
use crate::rate_limiter::MAX_SAFE_INTEGER;
use crate::rate_limiter::gcra::Gcra;
use crate::runtime::instances::{OptionList, or_none};
use crate::runtime::options::MAX_DURATION_MS;
use crate::{AlgorithmKind, Error, LimitOptions, Quota, RateLimiterConfig, RateLimiterOptions, Result};

/// Clients of which the rate of opening is remembered. As many as a limiter holds by default.
const MAX_OPENING_CLIENTS: u64 = 1_000_000;

/// Options as a user gives them. What is left out is not limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionTrackerOptions {
    /// Most connections at once.
    pub max: Option<u64>,
    /// Most connections of one client at once.
    pub max_per_client: Option<u64>,
    /// Clients are any text; otherwise they are addresses, and counted as
    /// [`client_key`](crate::client_key::client_key) names them.
    pub opaque_clients: bool,
    /// Leading bits of an IPv6 address that name one client.
    pub ipv6_prefix: u8,
    /// How often a client may open.
    pub opens: Option<Quota>,
    /// Messages of one connection.
    pub messages: Option<Quota>,
    /// Bytes of one connection.
    pub bytes: Option<Quota>,
    /// What `close_idle` takes for idle when it is not told.
    pub idle_timeout_ms: Option<u64>,
}

impl Default for ConnectionTrackerOptions {
    fn default() -> Self {
        Self {
            max: None,
            max_per_client: None,
            opaque_clients: false,
            ipv6_prefix: crate::client_key::DEFAULT_IPV6_PREFIX,
            opens: None,
            messages: None,
            bytes: None,
            idle_timeout_ms: None,
        }
    }
}

/// Valid options.
#[derive(Clone, Debug)]
pub struct ConnectionTrackerConfig {
    pub(super) options: ConnectionTrackerOptions,
    pub(super) opens: Option<RateLimiterConfig>,
    pub(super) messages: Option<Gcra>,
    pub(super) bytes: Option<Gcra>,
}

impl TryFrom<ConnectionTrackerOptions> for ConnectionTrackerConfig {
    type Error = Error;

    fn try_from(options: ConnectionTrackerOptions) -> Result<Self> {
        check_range("max", options.max, MAX_SAFE_INTEGER)?;
        check_range("maxPerClient", options.max_per_client, MAX_SAFE_INTEGER)?;
        check_range("ipv6Prefix", Some(options.ipv6_prefix.into()), 128)?;
        check_range("idleTimeout", options.idle_timeout_ms, MAX_DURATION_MS)?;
        let gcra = |quota: Option<Quota>, thread| quota.map(|quota| quota.to_gcra(thread)).transpose();
        gcra(options.opens, "ConnectionTracker opens")?;
        let opens = options.opens.map(|quota| {
            let limit = LimitOptions { name: "opens".to_owned(), quota, algorithm: AlgorithmKind::Gcra };
            let by_default = RateLimiterOptions::single(quota.limit, quota.window_ms);
            RateLimiterOptions { limits: vec![limit], max_keys: MAX_OPENING_CLIENTS, ..by_default }
        });
        Ok(Self {
            opens: opens.map(RateLimiterConfig::try_from).transpose()?,
            messages: gcra(options.messages, "ConnectionTracker messages")?,
            bytes: gcra(options.bytes, "ConnectionTracker bytes")?,
            options,
        })
    }
}

impl ConnectionTrackerConfig {
    /// The name under which a client is counted.
    pub(super) fn client(&self, text: &str) -> Result<String> {
        if self.options.opaque_clients {
            return Ok(text.to_owned());
        }
        client_key(text, self.options.ipv6_prefix)
    }

    /// As the user would read them.
    pub(super) fn list(&self) -> OptionList {
        let options = &self.options;
        let ms = |ms: Option<u64>| or_none(ms.map(|ms| format!("{ms} ms")));
        vec![
            ("max", or_none(options.max)),
            ("maxPerClient", or_none(options.max_per_client)),
            ("clients", if options.opaque_clients { "\"opaque\"" } else { "\"ip\"" }.to_owned()),
            ("ipv6Prefix", options.ipv6_prefix.to_string()),
            ("opens", or_none(options.opens)),
            ("messages", or_none(options.messages)),
            ("bytes", or_none(options.bytes)),
            ("idleTimeout", ms(options.idle_timeout_ms)),
        ]
    }
}

fn check_range(option: &str, given: Option<u64>, most: u64) -> Result<()> {
    match given {
        Some(given) if !(1..=most).contains(&given) => Err(Error::invalid_option(
            &format!("ConnectionTracker {option}"),
            given,
            format!("an integer from 1 to {most}"),
        )),
        _ => Ok(()),
    }
}
