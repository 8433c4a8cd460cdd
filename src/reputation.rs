//! `Reputation`: raw calls for requests, `#[napi]` for the rest.

mod calls;
mod events;
mod files;
mod opening;
mod persistence;
#[cfg_attr(not(target_os = "linux"), path = "reputation/shared_elsewhere.rs")]
mod shared;
mod sharing;

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use sluice_core::runtime::clock::{self, SetBack};
use sluice_core::{
    Ban, BanCause, FOREVER, Instances, PersistOptions, Reputation, ReputationOptions, ReputationRule,
    ThreadId,
};

use self::calls::VerdictNumbers;
use crate::components::Component;
use crate::machine::NativeMachineStats;
use crate::runtime::error;
use crate::runtime::numbers::{ceil_ms, double, from_whole_ms};
use crate::runtime::seam::{Coded, Declarations, Layout};
use crate::runtime::thread;
pub use events::NativeBanEvent;

static REPUTATIONS: Instances<Reputation> = Instances::new();

/// The instances, and the files that keep them.
struct Reputations;

impl sluice_core::Component for Reputations {
    fn thread_ended(&self, thread: ThreadId, now: u64) {
        REPUTATIONS.thread_ended(thread, now);
        shared::STATE.thread_ended(thread, now);
        persistence::thread_ended(thread);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        REPUTATIONS.clock_was_set_back(set_back);
        shared::STATE.clock_was_set_back(set_back);
    }

    fn reset(&self) {
        // What is constructed meanwhile is emptied as a whole, or not at all.
        let _one_at_a_time = opening::OPENING.lock();
        persistence::forget_all();
        sharing::forget_all();
        sluice_core::Component::reset(&REPUTATIONS);
        shared::STATE.reset();
    }

    fn names(&self) -> Option<(&'static str, Vec<String>)> {
        let (kind, mut names) = sluice_core::Component::names(&REPUTATIONS)?;
        names.extend(shared::names());
        names.sort_unstable();
        Some((kind, names))
    }
}

pub(crate) const COMPONENT: Component = Component {
    state: &Reputations,
    export: calls::export,
    declarations: Declarations {
        layouts: &[VerdictNumbers::DESCRIPTION],
        codes: &[ReputationRule::DESCRIPTION, BanCause::DESCRIPTION],
        options: &[("Reputation", ReputationOptions::FIELDS), ("Reputation persist", PersistOptions::FIELDS)],
    },
};

/// The reputation of this name, for monitors whose rules ban.
pub(crate) fn find(name: &str) -> Option<Arc<Reputation>> {
    shared::find(name).or_else(|| REPUTATIONS.open(name, None).ok())
}

/// The reputations that this process shares with others, as messages name them.
pub(crate) fn shared_names() -> Vec<String> {
    shared::names().iter().map(|name| format!("Reputation {name:?}")).collect()
}

/// The time that the reputation decides by.
#[inline]
pub(crate) fn now_of(reputation: &Reputation) -> u64 {
    reputation.shared_now().unwrap_or_else(clock::now)
}

/// A ban in force. The times of a permanent ban are infinite.
#[napi(object)]
pub struct NativeBan {
    pub client: String,
    pub until: f64,
    pub retry_after_ms: f64,
    pub reason: Option<String>,
}

/// Sums over all threads, and the current state.
#[napi(object)]
pub struct NativeReputationStats {
    pub failures: f64,
    pub bans: f64,
    pub manual_bans: f64,
    pub unbans: f64,
    pub untracked: f64,
    pub evicted: f64,
    pub banned: f64,
    pub ranges: f64,
    pub allow: f64,
    pub deny: f64,
    pub size: f64,
    pub capacity: f64,
    /// Where processes share the reputation.
    pub machine: Option<NativeMachineStats>,
}

/// Bans a client or a range; permanently without a duration. False when the ban is not stored.
#[napi]
pub fn ban_by_hand(
    env: Env,
    handle: u32,
    target: String,
    duration_ms: Option<f64>,
    reason: Option<String>,
) -> Result<bool> {
    let duration = duration_ms.map(from_whole_ms);
    let reputation = reputation(handle)?;
    let kept = reputation.ban(&target, duration, reason.as_deref(), now_of(&reputation));
    error::check(&env, kept)
}

#[napi]
pub fn unban(env: Env, handle: u32, target: String) -> Result<bool> {
    let reputation = reputation(handle)?;
    error::check(&env, reputation.unban(&target, now_of(&reputation)))
}

/// The bans in force, the first to end first; at most `most` of them, where it is given.
#[napi]
pub fn list_bans(env: Env, handle: u32, most: Option<u32>) -> Result<Vec<NativeBan>> {
    let reputation = reputation(handle)?;
    let (now, ahead) = (now_of(&reputation), reputation.date_ahead());
    let mut bans = error::check(&env, reputation.bans(now))?;
    bans.truncate(most.map_or(usize::MAX, |most| most as usize));
    let describe = |ban: &Ban| NativeBan {
        client: ban.target(),
        until: date(ban.until, ahead),
        retry_after_ms: wait(ban.until.saturating_sub(now), ban.until),
        reason: ban.reason.as_deref().map(str::to_owned),
    };
    Ok(bans.iter().map(describe).collect())
}

#[napi]
pub fn set_reputation_lists(env: Env, handle: u32, allow: Vec<String>, deny: Vec<String>) -> Result<()> {
    error::check(&env, reputation(handle)?.set_lists(&allow, &deny))
}

#[napi]
pub fn reputation_stats(env: Env, handle: u32) -> Result<NativeReputationStats> {
    let reputation = reputation(handle)?;
    let machine = shared::stats(&reputation);
    let stats = error::check(&env, reputation.stats(now_of(&reputation)))?;
    Ok(NativeReputationStats {
        machine,
        failures: double(stats.failures),
        bans: double(stats.bans),
        manual_bans: double(stats.manual_bans),
        unbans: double(stats.unbans),
        untracked: double(stats.untracked),
        evicted: double(stats.evicted),
        banned: double(stats.banned),
        ranges: double(stats.ranges),
        allow: double(stats.allow),
        deny: double(stats.deny),
        size: double(stats.size),
        capacity: double(stats.capacity),
    })
}

/// The end of a ban in UTC milliseconds; the date is ahead of its clock by so many nanoseconds.
fn date(until: u64, ahead: i64) -> f64 {
    if until == FOREVER { f64::INFINITY } else { double(clock::ceil_ms(until.saturating_add_signed(ahead))) }
}

/// Milliseconds until the end of a ban.
fn wait(retry_after: u64, until: u64) -> f64 {
    if until == FOREVER { f64::INFINITY } else { ceil_ms(retry_after) }
}

fn reputation(handle: u32) -> Result<Arc<Reputation>> {
    thread::current()?.reputations.borrow().get(handle).cloned()
}
