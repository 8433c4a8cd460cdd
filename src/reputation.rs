//! `Reputation`: raw calls for requests, `#[napi]` for the rest.

mod events;
mod files;
mod persistence;
mod sharing;

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Object, Result};
use napi::sys;
use napi_derive::napi;
use sluice_core::client_key::AddressText;
use sluice_core::runtime::clock::{self, SetBack};
use sluice_core::{
    Ban, BanCause, FOREVER, Instances, PersistOptions, Reputation, ReputationConfig, ReputationOptions,
    ReputationRule, ThreadId, Verdict,
};

use crate::components::Component;
use crate::runtime::error;
use crate::runtime::instances;
use crate::runtime::numbers::{ceil_ms, double, from_whole_ms, integer};
use crate::runtime::options::Given;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, Declarations, Layout, codes, layout};
use crate::runtime::thread;
pub use events::NativeBanEvent;

static REPUTATIONS: Instances<Reputation> = Instances::new();

/// The instances, and the files that keep them.
struct Reputations;

impl sluice_core::Component for Reputations {
    fn thread_ended(&self, thread: ThreadId, now: u64) {
        REPUTATIONS.thread_ended(thread, now);
        persistence::thread_ended(thread);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        REPUTATIONS.clock_was_set_back(set_back);
    }

    fn reset(&self) {
        persistence::forget_all();
        sharing::forget_all();
        sluice_core::Component::reset(&REPUTATIONS);
    }

    fn names(&self) -> Option<(&'static str, Vec<String>)> {
        sluice_core::Component::names(&REPUTATIONS)
    }
}

pub(crate) const COMPONENT: Component = Component {
    state: &Reputations,
    export,
    declarations: Declarations {
        layouts: &[VerdictNumbers::DESCRIPTION],
        codes: &[ReputationRule::DESCRIPTION, BanCause::DESCRIPTION],
        options: &[("Reputation", ReputationOptions::FIELDS), ("Reputation persist", PersistOptions::FIELDS)],
    },
};

/// The reputation of this name, for monitors whose rules ban.
pub(crate) fn find(name: &str) -> Option<Arc<Reputation>> {
    REPUTATIONS.open(name, None).ok()
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
}

/// Attaches to a reputation or creates it; the handle is this thread's.
#[napi]
pub fn open_reputation(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let options = options.map(|options| ReputationOptions::read(&Given(options)));
    let config = options.map(|options| options.and_then(ReputationConfig::try_from));
    let config = error::check(&env, config.transpose())?;
    let reputation = instances::open(&env, &REPUTATIONS, &name, config, reconfigures)?;
    Ok(thread::current()?.reputations.borrow_mut().hold(reputation))
}

/// Releases a JavaScript object's hold on the handle.
#[napi]
pub fn release_reputation(handle: u32) -> Result<()> {
    thread::current()?.reputations.borrow_mut().release(handle);
    Ok(())
}

#[napi]
pub fn destroy_reputation(name: String) -> bool {
    persistence::finish(&name);
    sharing::finish(&name);
    REPUTATIONS.destroy(&name)
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
    let kept = reputation(handle)?.ban(&target, duration, reason.as_deref(), clock::now());
    error::check(&env, kept)
}

#[napi]
pub fn unban(env: Env, handle: u32, target: String) -> Result<bool> {
    error::check(&env, reputation(handle)?.unban(&target, clock::now()))
}

/// The bans in force, the first to end first; at most `most` of them, where it is given.
#[napi]
pub fn list_bans(env: Env, handle: u32, most: Option<u32>) -> Result<Vec<NativeBan>> {
    let now = clock::now();
    let mut bans = error::check(&env, reputation(handle)?.bans(now))?;
    bans.truncate(most.map_or(usize::MAX, |most| most as usize));
    let describe = |ban: &Ban| NativeBan {
        client: ban.target(),
        until: date(ban.until),
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
    let stats = error::check(&env, reputation(handle)?.stats(clock::now()))?;
    Ok(NativeReputationStats {
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

/// The end of a ban in UTC milliseconds.
fn date(until: u64) -> f64 {
    if until == FOREVER { f64::INFINITY } else { double(clock::utc_ms_of(until)) }
}

/// Milliseconds until the end of a ban.
fn wait(retry_after: u64, until: u64) -> f64 {
    if until == FOREVER { f64::INFINITY } else { ceil_ms(retry_after) }
}

fn reputation(handle: u32) -> Result<Arc<Reputation>> {
    thread::current()?.reputations.borrow().get(handle).cloned()
}

fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("isBanned(handle: number, ip: string): 0 | 1", is_banned)?;
    exports.function("checkReputation(handle: number, ip: string): string | undefined", check)?;
    exports.function("recordFailure(handle: number, ip: string, weight: number, reason: string | undefined): string | undefined", record_failure)?;
    exports.function("recordSuccess(handle: number, ip: string): void", record_success)?;
    sharing::export(exports)
}

/// Runs `body` on the reputation of argument 0, with the address of argument 1.
fn with_reputation<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&Reputation, AddressText<'_>) -> sluice_core::Result<R>,
) -> Result<R> {
    let reputations = &call.port.thread().reputations;
    let result = call.with_address(1, |ip| call.on(reputations, |reputation| body(reputation, ip)));
    call.check(result.ok_or_else(|| error::invalid_address(call.env, call.args[1]))??)
}

layout! {
    /// A verdict.
    pub(crate) struct VerdictNumbers = "VERDICT" from 0 => {
        /// 1 when the client is banned.
        banned,
        /// When the ban ends, in UTC milliseconds; Infinity for a ban without end. 0 without a ban.
        until,
        /// Milliseconds until then.
        retry_after,
        /// Failures that count towards the next ban.
        failures,
        /// Bans that count towards the length of the next.
        bans,
        /// What decided, by its code.
        rule,
    }
}

codes! {
    /// What decided about a client.
    ReputationRule = "REPUTATION_RULES" {
        None = "none",
        Ban = "ban",
        Deny = "deny",
        Allow = "allow",
    }
}

/// Writes the numbers of a verdict. Returns the reason, or `undefined`.
fn write_verdict<const N: usize>(call: &Call<'_, N>, verdict: &Verdict, now: u64) -> Result<sys::napi_value> {
    call.port.write(VerdictNumbers {
        banned: f64::from(u8::from(verdict.banned)),
        until: verdict.until.map_or(0.0, date),
        retry_after: verdict.until.map_or(0.0, |until| wait(verdict.retry_after(now), until)),
        failures: double(verdict.failures),
        bans: f64::from(verdict.bans),
        rule: verdict.rule.code().into(),
    });
    match &verdict.reason {
        Some(reason) => call.string(reason),
        None => call.undefined(),
    }
}

/// `isBanned(handle, ip)`: 1 when the address is banned or denied.
unsafe extern "C" fn is_banned(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let banned = with_reputation(call, |reputation, ip| reputation.is_banned(ip, clock::now()))?;
        call.int(i32::from(banned))
    })
}

/// `checkReputation(handle, ip)`: writes the verdict and returns its reason.
unsafe extern "C" fn check(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let now = clock::now();
        let verdict = with_reputation(call, |reputation, ip| reputation.check(ip, now))?;
        write_verdict(call, &verdict, now)
    })
}

/// `recordFailure(handle, ip, weight, reason | undefined)`: writes the verdict after it and returns its reason.
unsafe extern "C" fn record_failure(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<4>::answer(env, info, |call| {
        let (now, weight, reason) = (clock::now(), integer(call.f64(2)?), call.text(3));
        let verdict = with_reputation(call, |reputation, ip| {
            reputation.record_failure(ip, weight, reason.as_deref(), now)
        })?;
        write_verdict(call, &verdict, now)
    })
}

/// `recordSuccess(handle, ip)`.
unsafe extern "C" fn record_success(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        with_reputation(call, |reputation, ip| reputation.record_success(ip))?;
        call.undefined()
    })
}
