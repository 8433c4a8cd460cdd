//! Raw calls for requests: an address and its verdict.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::client_key::AddressText;
use sluice_core::{Reputation, ReputationRule, Verdict};

use super::{date, now_of, sharing, wait};
use crate::runtime::error;
use crate::runtime::numbers::{double, integer};
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, codes, layout};

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
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

/// A verdict with its time, and by how much the date is ahead of that where there is a date to say.
fn dated(reputation: &Reputation, verdict: Verdict, now: u64) -> (Verdict, u64, i64) {
    let ahead = if verdict.until.is_some() { reputation.date_ahead() } else { 0 };
    (verdict, now, ahead)
}

/// Writes the numbers of a verdict. Returns the reason, or `undefined`.
fn write_verdict<const N: usize>(
    call: &Call<'_, N>,
    (verdict, now, ahead): (Verdict, u64, i64),
) -> Result<sys::napi_value> {
    call.port.write(VerdictNumbers {
        banned: f64::from(u8::from(verdict.banned)),
        until: verdict.until.map_or(0.0, |until| date(until, ahead)),
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
        let banned = with_reputation(call, |reputation, ip| reputation.is_banned(ip, now_of(reputation)))?;
        call.int(i32::from(banned))
    })
}

/// `checkReputation(handle, ip)`: writes the verdict and returns its reason.
unsafe extern "C" fn check(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let verdict = with_reputation(call, |reputation, ip| {
            let now = now_of(reputation);
            Ok(dated(reputation, reputation.check(ip, now)?, now))
        })?;
        write_verdict(call, verdict)
    })
}

/// `recordFailure(handle, ip, weight, reason | undefined)`: writes the verdict after it and returns its reason.
unsafe extern "C" fn record_failure(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<4>::answer(env, info, |call| {
        let (weight, reason) = (integer(call.f64(2)?), call.text(3));
        let verdict = with_reputation(call, |reputation, ip| {
            let now = now_of(reputation);
            let verdict = reputation.record_failure(ip, weight, reason.as_deref(), now)?;
            Ok(dated(reputation, verdict, now))
        })?;
        write_verdict(call, verdict)
    })
}

/// `recordSuccess(handle, ip)`.
unsafe extern "C" fn record_success(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        with_reputation(call, |reputation, ip| reputation.record_success(ip))?;
        call.undefined()
    })
}
