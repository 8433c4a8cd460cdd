//! Events of bans.

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use sluice_core::runtime::clock;
use sluice_core::{BanCause, BanChange, BanEvent};

use super::{date, now_of, reputation};
use crate::runtime::clock::{elapsed_ms, in_elapsed_ms};
use crate::runtime::numbers::{ceil_ms, double};
use crate::runtime::seam::{Coded, codes};
use crate::runtime::{error, thread};

/// How often bans of other processes are looked for, while anything listens.
const LOOK_MS: f64 = 250.0;

codes! {
    /// What put a ban in force.
    BanCause = "BAN_CAUSES" {
        Failures = "failures",
        Rule = "rule",
        Manual = "manual",
        File = "file",
        Fleet = "fleet",
    }
}

/// What happened to a ban. `isExtended`: it replaces one that would have ended earlier.
#[napi(object)]
pub struct NativeBanEvent {
    pub number: f64,
    #[napi(ts_type = "'ban' | 'unban' | 'expire'")]
    pub event: String,
    pub is_extended: bool,
    pub client: String,
    pub until: f64,
    pub reason: Option<String>,
    pub by: String,
}

impl From<&BanEvent> for NativeBanEvent {
    fn from(BanEvent { number, change, ban, cause, date_ahead }: &BanEvent) -> Self {
        let (event, is_extended) = match change {
            BanChange::Banned { is_extended } => ("ban", *is_extended),
            BanChange::Unbanned => ("unban", false),
            BanChange::Expired => ("expire", false),
        };
        Self {
            number: double(*number),
            event: event.to_owned(),
            is_extended,
            client: ban.target(),
            until: date(ban.until, date_ahead.unwrap_or_else(clock::date_ahead)),
            reason: ban.reason.as_deref().map(str::to_owned),
            by: cause.text().to_owned(),
        }
    }
}

/// Delivers every later change of a ban to this thread, under the number of the subscription.
#[napi]
pub fn subscribe_to_bans(env: Env, handle: u32, subscription: u32) -> Result<()> {
    let mailbox = thread::port_of(&env)?.mailbox();
    let reputation = reputation(handle)?;
    error::check(&env, reputation.subscribe(mailbox, subscription, now_of(&reputation)))
}

#[napi]
pub fn unsubscribe_from_bans(handle: u32, subscription: u32) -> Result<()> {
    reputation(handle)?.unsubscribe(thread::current()?.id, subscription);
    Ok(())
}

/// Reports the bans that have ended, each once for all threads. Returns how many milliseconds until the next one ends; none
/// where none does. Where processes share the reputation, bans that others have changed are reported as well, and the next
/// look is due soon, until one of them ends the reputation for all.
#[napi]
pub fn expire_bans(handle: u32) -> Result<Option<f64>> {
    let reputation = reputation(handle)?;
    if let Some(now) = reputation.shared_now() {
        if reputation.check_open().is_err() {
            return Ok(None);
        }
        // Lists that cannot be read are in its statistics.
        let _ = reputation.follow_others(now);
        let next = reputation.expire_bans(now).map_or(LOOK_MS, |until| ceil_ms(until.saturating_sub(now)));
        return Ok(Some(next.min(LOOK_MS)));
    }
    let next = reputation.expire_bans(clock::now());
    Ok(next.map(|until| in_elapsed_ms(until) - elapsed_ms()))
}
