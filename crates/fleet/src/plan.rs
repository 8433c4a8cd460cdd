//! What the scripts are told of a limiter: its limits in their numbers, and the names of its keys.

mod granted;

use std::sync::{Arc, OnceLock};

use redis::Cmd;
use sluice_core::runtime::clock;
use sluice_core::{Error, Leases, LimitOptions, Quota, Rate, RateLimiterConfig, RemoteWord};

use self::granted::natural;
use crate::client_name::{BUCKETS, ClientName};
use crate::link::slot_of;
use crate::remembered::Remembered;

/// Doubles count exactly below this.
const EXACT: u64 = 1 << 53;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// A limit in the numbers of the scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Ticks are nanoseconds where the capacity then fits a double exactly, else microseconds.
    Gcra { interval: u64, capacity: u64, ticks_per_us: u64 },
    /// Times are microseconds.
    FixedWindow { limit: u64, window: u64 },
    /// Times are microseconds. Weights are computed in units of time whose products fit a double exactly.
    SlidingWindow { limit: u64, window: u64, unit: u64 },
}

/// How the calls of a limiter are written, by one set of options.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The name of the limiter.
    pub(crate) name: String,
    /// The limits, as processes compare them.
    pub(crate) limits_in_words: String,
    /// The key of what processes have for limits.
    pub(crate) options_key: String,
    pub(crate) config: Arc<RateLimiterConfig>,
    pub(crate) limits: Vec<Limit>,
    ttl_ms: u64,
    /// Before and after the bucket of a key.
    key: (String, String),
    /// The slots of the buckets in a cluster.
    slots: OnceLock<Vec<u16>>,
    /// A charge whose caller was answered without the server is taken back.
    pub(crate) gives_back: bool,
    /// What is held of its clients, where calls are decided by leases.
    pub(crate) leases: Option<Arc<Leases<ClientName>>>,
    /// Clients that were refused by these options.
    pub(crate) remembered: Remembered,
}

impl Plan {
    /// `prefix` begins every key.
    ///
    /// # Errors
    ///
    /// `INVALID_OPTION` for a quota that the server cannot keep exact to 0.1 %.
    pub(crate) fn new(name: &str, prefix: &str, config: Arc<RateLimiterConfig>) -> Result<Self, Error> {
        let limits: Vec<_> = config.rates().into_iter().map(Limit::of).collect::<Result<_, _>>()?;
        let kinds: Vec<_> = limits.iter().map(Limit::kind).collect();
        let key = (format!("{prefix}1:{{"), format!(":{name}:{}}}:", kinds.join("+")));
        let lives = limits.iter().map(Limit::life_us).max().unwrap_or_default();
        // A millisecond more: the server counts them from its last whole one.
        Ok(Self {
            name: name.to_owned(),
            limits_in_words: in_words(&config),
            options_key: format!("{prefix}1:{{o:{name}}}:options"),
            config,
            limits,
            ttl_ms: lives.div_ceil(US) + 1,
            key,
            slots: OnceLock::new(),
            gives_back: false,
            leases: None,
            remembered: Remembered::default(),
        })
    }

    /// The same plan; `gives_back` says whether a charge is taken back whose caller was answered without the server.
    pub(crate) fn giving_back(self, gives_back: bool) -> Self {
        Self { gives_back, ..self }
    }

    /// The same plan, for calls that are decided by leases.
    ///
    /// # Errors
    ///
    /// `INVALID_OPTION` where there is no memory for as many clients.
    pub(crate) fn leasing(self) -> Result<Self, Error> {
        let max_keys = self.config.options().max_keys;
        let intervals: Vec<_> = self.limits.iter().map(Limit::interval).collect();
        let leases =
            Leases::new(max_keys, &intervals, clock::elapsing()).map_err(|cause| Error::InvalidOption {
                option: "RateLimiter maxKeys".to_owned(),
                given: max_keys.to_string(),
                accepted: format!("a number for which the system has address space ({cause})"),
            })?;
        Ok(Self { leases: Some(Arc::new(leases)), ..self })
    }

    pub(crate) fn has_several_limits(&self) -> bool {
        self.limits.len() > 1
    }

    /// Whether the script for a single GCRA limit serves it.
    pub(crate) fn is_single_gcra(&self) -> bool {
        matches!(self.limits[..], [Limit::Gcra { .. }])
    }

    /// Doubles that a client's state has beside its time and its block.
    pub(crate) fn words(&self) -> usize {
        self.limits.iter().map(Limit::words).sum()
    }

    /// The key of a client. Its braces hold what decides its slot in a cluster.
    pub(crate) fn key_of(&self, client: &ClientName) -> Vec<u8> {
        let (before, after) = &self.key;
        let (bucket, name) = (client.bucket(), client.bytes());
        let tens = (bucket > 9).then(|| b'0' + bucket / 10);
        let mut key = Vec::with_capacity(before.len() + 2 + after.len() + name.len());
        key.extend_from_slice(before.as_bytes());
        key.extend(tens.into_iter().chain([b'0' + bucket % 10]));
        key.extend_from_slice(after.as_bytes());
        key.extend_from_slice(name);
        key
    }

    /// The slot of a client's key in a cluster.
    pub(crate) fn slot_of(&self, client: &ClientName) -> u16 {
        let bucket = usize::from(client.bucket());
        self.slots.get_or_init(|| {
            let (_, after) = &self.key;
            // A server ends at the first brace, which may be one of the name.
            let name = after.split_once('}').map_or("", |(name, _)| name);
            (0..BUCKETS).map(|bucket| slot_of(format!("{bucket}{name}").as_bytes())).collect()
        })[bucket]
    }

    /// The slot in a cluster of the key that holds the options.
    pub(crate) fn options_slot(&self) -> u16 {
        let tag = self.options_key.split_once('{').and_then(|(_, after)| after.split_once('}'));
        slot_of(tag.map_or("", |(tag, _)| tag).as_bytes())
    }

    /// Writes what the script for a single GCRA limit is told of the limit.
    pub(crate) fn write_single(&self, command: &mut Cmd) {
        if let [Limit::Gcra { interval, capacity, ticks_per_us }] = self.limits[..] {
            command.arg(interval).arg(capacity).arg(ticks_per_us).arg(self.ttl_ms);
        }
    }

    /// Writes what the script for any limits is told of them, after the operation.
    pub(crate) fn write_all(&self, command: &mut Cmd) {
        command.arg(self.ttl_ms).arg(self.limits.len());
        for limit in &self.limits {
            let (kind, first, second, third) = match *limit {
                Limit::Gcra { interval, capacity, ticks_per_us } => (1, interval, capacity, ticks_per_us),
                Limit::FixedWindow { limit, window } => (2, limit, window, 0),
                Limit::SlidingWindow { limit, window, unit } => (3, limit, window, unit),
            };
            command.arg(kind).arg(first).arg(second).arg(third);
        }
    }

    /// The state of a client by each limit, from the doubles of the script's reply.
    pub(crate) fn read(&self, doubles: &[i64]) -> Vec<RemoteWord> {
        self.by_limit(doubles).map(|(limit, own)| limit.read(own)).collect()
    }
}

/// The limits as processes compare them: those that count together, and those that count apart.
fn in_words(config: &RateLimiterConfig) -> String {
    let in_words = |limit: &LimitOptions| {
        let Quota { limit: units, window_ms, burst } = limit.quota;
        let burst = burst.map(|burst| format!(", burst {burst}")).unwrap_or_default();
        format!("{units} per {window_ms} ms by {}{burst}", limit.algorithm)
    };
    config.options().limits.iter().map(in_words).collect::<Vec<_>>().join(" and ")
}

impl Limit {
    fn of(rate: Rate) -> Result<Self, Error> {
        Ok(match rate {
            Rate::Gcra { emission_interval, burst } => {
                let capacity = emission_interval.saturating_mul(burst);
                if capacity < EXACT {
                    return Ok(Self::Gcra { interval: emission_interval, capacity, ticks_per_us: US });
                }
                let interval = emission_interval.div_ceil(US);
                // The share by which rounding up slows the rate.
                if (interval * US - emission_interval) * 1_000 > emission_interval {
                    return Err(Error::InvalidOption {
                        option: "RateLimiter burst".to_owned(),
                        given: format!("{burst} units of {emission_interval} ns each"),
                        accepted:
                            "with scope.redis, a burst that refills within 104 days, or a unit of whole \
                                   microseconds within 0.1 %"
                                .to_owned(),
                    });
                }
                Self::Gcra { interval, capacity: interval * burst, ticks_per_us: 1 }
            }
            Rate::FixedWindow { limit, window } => Self::FixedWindow { limit, window: window / US },
            Rate::SlidingWindow { limit, window } => {
                let window = window / US;
                let unit = u128::from(limit) * u128::from(window) / u128::from(EXACT) + 1;
                let unit = u64::try_from(unit).unwrap_or(window);
                Self::SlidingWindow { limit, window, unit }
            }
        })
    }

    /// Its part of a key's name. State of another algorithm, unit or window means something else; limits and bursts may
    /// differ between machines.
    fn kind(&self) -> String {
        match self {
            Self::Gcra { ticks_per_us: US, .. } => "g".to_owned(),
            Self::Gcra { .. } => "gu".to_owned(),
            Self::FixedWindow { window, .. } => format!("f{}", window / US),
            Self::SlidingWindow { window, .. } => format!("s{}", window / US),
        }
    }

    /// Nanoseconds between two units that are held; 0 where all lapse at the end of a window.
    pub(crate) fn interval(&self) -> u64 {
        match *self {
            Self::Gcra { interval, ticks_per_us, .. } => interval * US / ticks_per_us,
            Self::FixedWindow { .. } | Self::SlidingWindow { .. } => 0,
        }
    }

    /// How long its state matters after it was written, in microseconds.
    fn life_us(&self) -> u64 {
        match *self {
            Self::Gcra { capacity, ticks_per_us, .. } => capacity.div_ceil(ticks_per_us),
            Self::FixedWindow { window, .. } => window,
            Self::SlidingWindow { window, .. } => 2 * window,
        }
    }

    fn words(&self) -> usize {
        match self {
            Self::Gcra { .. } => 1,
            Self::FixedWindow { .. } | Self::SlidingWindow { .. } => 2,
        }
    }

    fn read(&self, doubles: &[i64]) -> RemoteWord {
        let at = |index| natural(doubles, index);
        match *self {
            Self::Gcra { ticks_per_us, .. } => RemoteWord::Debt(at(0) * US / ticks_per_us),
            Self::FixedWindow { .. } => RemoteWord::Running { count: at(0), left: at(1) * US },
            Self::SlidingWindow { .. } => RemoteWord::Counts { previous: at(0), current: at(1) },
        }
    }
}

/// Nanoseconds of so many milliseconds.
pub(crate) const fn of_ms(ms: u64) -> u64 {
    ms * MS
}

/// Nanoseconds of so many microseconds.
pub(crate) const fn of_us(us: u64) -> u64 {
    us.saturating_mul(US)
}

#[cfg(test)]
mod tests {
    use sluice_core::{AlgorithmKind, RateLimiterOptions};

    use super::*;

    fn plan(options: RateLimiterOptions) -> Result<Plan, Error> {
        named("api", options)
    }

    fn named(name: &str, options: RateLimiterOptions) -> Result<Plan, Error> {
        Plan::new(name, "sluice:", Arc::new(RateLimiterConfig::try_from(options).expect("valid")))
    }

    fn name(text: &str) -> ClientName {
        ClientName::of_units(&text.encode_utf16().collect::<Vec<_>>())
    }

    #[test]
    fn keys_say_what_their_state_means() {
        let key = |plan: &Plan| String::from_utf8(plan.key_of(&name("203.0.113.7"))).expect("text");
        let single = plan(RateLimiterOptions::single(10, 1_000)).expect("valid");
        assert_eq!(key(&single), "sluice:1:{32:api:g}:203.0.113.7");
        let windows =
            [AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow].map(|algorithm| LimitOptions {
                name: algorithm.to_string(),
                algorithm,
                ..LimitOptions::new(Quota::new(10, 60_000))
            });
        let both = plan(RateLimiterOptions::new(windows.to_vec())).expect("valid");
        assert_eq!(key(&both), "sluice:1:{32:api:f60000+s60000}:203.0.113.7");
    }

    #[test]
    fn slots_are_those_of_what_the_first_braces_hold() {
        for (limiter, tag) in [("api", "32:api:g"), ("a}b", "32:a"), ("a{b", "32:a{b:g"), ("}", "32:")] {
            let plan = named(limiter, RateLimiterOptions::single(10, 1_000)).expect("valid");
            assert_eq!(plan.slot_of(&name("203.0.113.7")), slot_of(tag.as_bytes()), "{limiter}");
        }
        for (limiter, tag) in [("api", "o:api"), ("a}b", "o:a"), ("a{b", "o:a{b"), ("}", "o:")] {
            let plan = named(limiter, RateLimiterOptions::single(10, 1_000)).expect("valid");
            assert_eq!(plan.options_slot(), slot_of(tag.as_bytes()), "{limiter}");
        }
    }

    #[test]
    fn numbers_stay_exact() {
        let day = 86_400_000;
        let long = plan(RateLimiterOptions::single(200, 200 * day)).expect("whole microseconds");
        assert_eq!(
            long.limits[..],
            [Limit::Gcra { interval: 86_400_000_000, capacity: 200 * 86_400_000_000, ticks_per_us: 1 }]
        );
        let fine = Quota { burst: Some(1 << 43), ..Quota::new(999_999, 1_500) };
        let error = plan(RateLimiterOptions::new(vec![LimitOptions::new(fine)])).expect_err("too fine");
        assert_eq!(error.code(), "INVALID_OPTION");
        let wide = RateLimiterOptions::by(AlgorithmKind::SlidingWindow, (1 << 23) - 1, 365 * day);
        let [Limit::SlidingWindow { limit, window, unit }] = plan(wide).expect("valid").limits[..] else {
            panic!("a sliding window")
        };
        assert!(limit * (window / unit) < EXACT && unit < window / 1_000);
    }
}
