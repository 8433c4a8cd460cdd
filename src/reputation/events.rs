//! Events of bans.

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use sluice_core::runtime::clock;
use sluice_core::{BanCause, BanChange, BanEvent};

use super::{date, reputation};
use crate::runtime::clock::{elapsed_ms, in_elapsed_ms};
use crate::runtime::seam::{Coded, codes};
use crate::runtime::{error, thread};

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
    #[napi(ts_type = "'ban' | 'unban' | 'expire'")]
    pub event: String,
    pub is_extended: bool,
    pub client: String,
    pub until: f64,
    pub reason: Option<String>,
    pub by: String,
}

impl From<&BanEvent> for NativeBanEvent {
    fn from(BanEvent { change, ban, cause }: &BanEvent) -> Self {
        let (event, is_extended) = match change {
            BanChange::Banned { is_extended } => ("ban", *is_extended),
            BanChange::Unbanned => ("unban", false),
            BanChange::Expired => ("expire", false),
        };
        Self {
            event: event.to_owned(),
            is_extended,
            client: ban.target(),
            until: date(ban.until),
            reason: ban.reason.as_deref().map(str::to_owned),
            by: cause.text().to_owned(),
        }
    }
}

/// Delivers every later change of a ban to this thread, under the number of the subscription.
#[napi]
pub fn subscribe_to_bans(env: Env, handle: u32, subscription: u32) -> Result<()> {
    let mailbox = thread::port_of(&env)?.mailbox();
    error::check(&env, reputation(handle)?.subscribe(mailbox, subscription, clock::now()))
}

#[napi]
pub fn unsubscribe_from_bans(handle: u32, subscription: u32) -> Result<()> {
    reputation(handle)?.unsubscribe(thread::current()?.id, subscription);
    Ok(())
}

/// Reports the bans that have ended, each once for all threads. Returns how many milliseconds until the next one ends; none
/// where none does.
#[napi]
pub fn expire_bans(handle: u32) -> Result<Option<f64>> {
    let next = reputation(handle)?.expire_bans(clock::now());
    Ok(next.map(|until| in_elapsed_ms(until) - elapsed_ms()))
}
