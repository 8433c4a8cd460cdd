//! Reputations and steps with them, shared by the tests of `Reputation`.

use sluice_core::{Error, Reputation, ReputationOptions, Verdict};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const MINUTE: u64 = 60_000 * MS;
/// Any date: no expectation depends on it.
pub(crate) const NOW: u64 = 1_700_000_000_000 * MS;
pub(crate) const A: &str = "203.0.113.7";
pub(crate) const B: &str = "203.0.113.8";

/// Three failures in ten minutes ban for one minute, escalating to at most an hour.
pub(crate) fn options() -> ReputationOptions {
    ReputationOptions::new(3, 600_000, 60_000, 3_600_000)
}

/// A reputation without jitter.
pub(crate) fn reputation(options: ReputationOptions) -> Reputation {
    Reputation::with_chance("test", options.try_into().expect("valid"), || 0.0)
}

/// A reputation with these lists, or the error for them.
pub(crate) fn with_lists(allow: &[&str], deny: &[&str]) -> Result<Reputation, Error> {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let options = ReputationOptions { allow: texts(allow), deny: texts(deny), ..options() };
    Ok(Reputation::new("test", options.try_into()?))
}

pub(crate) fn fail(reputation: &Reputation, ip: &str, now: u64) -> Verdict {
    reputation.record_failure(ip, 1, None, now).expect("open")
}

pub(crate) fn check(reputation: &Reputation, ip: &str, now: u64) -> Verdict {
    reputation.check(ip, now).expect("open")
}

/// Records failures until the client is banned. Returns their number and the length of the ban.
pub(crate) fn fail_until_banned(reputation: &Reputation, ip: &str, now: u64) -> (u32, u64) {
    for failures in 1.. {
        let verdict = fail(reputation, ip, now);
        if verdict.banned {
            return (failures, verdict.retry_after(now));
        }
    }
    unreachable!("failures ban");
}
