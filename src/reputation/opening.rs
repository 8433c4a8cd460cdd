//! Opening and ending reputations, each in one native call.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::{Error, Instance, OptionList, Reputation, ReputationConfig, ReputationOptions};

use super::{REPUTATIONS, persistence, shared, sharing};
use crate::fleet::NativeScope;
use crate::machine::NativeSharedScope;
use crate::runtime::options::Given;
use crate::runtime::{error, instances, thread};

/// Held while an instance is looked for in one place and made in another, and until a new one has the bans of its file and
/// shares them with a fleet: no thread attaches to it before, and none destroys it.
pub(super) static OPENING: Mutex<()> = Mutex::new(());

/// Attaches to a reputation or creates it; the handle is this thread's. With `scope` all processes of the machine share it, with
/// `fleet` many machines share its bans.
#[napi]
pub fn open_reputation(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
    scope: Option<NativeSharedScope>,
    fleet: Option<NativeScope>,
) -> Result<u32> {
    let options = options.map(|options| ReputationOptions::read(&Given(options)));
    let config = options.map(|options| options.and_then(ReputationConfig::try_from));
    let config = error::check(&env, config.transpose())?;
    let sharing = fleet.map(|fleet| sharing::options_of(&env, fleet)).transpose()?;
    let thread = thread::current()?;
    let (reputation, former) = {
        let _one_at_a_time = OPENING.lock();
        let reputation = open(&env, &name, config, reconfigures, scope)?;
        persistence::keep(&reputation, thread.id);
        let former = sharing.and_then(|options| sharing::share(&name, &reputation, options));
        (reputation, former)
    };
    // Not under the lock: it may wait for the server.
    drop(former);
    Ok(thread.reputations.borrow_mut().hold(reputation))
}

fn open(
    env: &Env,
    name: &str,
    config: Option<ReputationConfig>,
    reconfigures: Option<bool>,
    scope: Option<NativeSharedScope>,
) -> Result<Arc<Reputation>> {
    match (config, scope) {
        (Some(config), Some(scope)) => {
            let existing = REPUTATIONS.get_if_set(name).and_then(|of| scope_of(of.created_with().clone()));
            let given = format!("shared {:?}", scope.directory);
            error::check(env, check_other(name, existing, &given))?;
            shared::open(env, name, scope, config, reconfigures)
        }
        (Some(config), None) => {
            let given = scope_of(Reputation::list_options(&config)).unwrap_or_default();
            error::check(env, check_other(name, shared::options(name).and_then(scope_of), &given))?;
            instances::open(env, &REPUTATIONS, name, Some(config), reconfigures)
        }
        (None, _) => match shared::find(name) {
            Some(reputation) => Ok(reputation),
            None => instances::open(env, &REPUTATIONS, name, None, reconfigures),
        },
    }
}

/// The scope among options, in words.
fn scope_of(options: OptionList) -> Option<String> {
    options.into_iter().find(|(option, _)| *option == "scope").map(|(_, scope)| scope)
}

/// A reputation of one name is either of the process or of the machine: an error where one of the other kind exists.
fn check_other(name: &str, existing: Option<String>, given: &str) -> sluice_core::Result<()> {
    existing.map_or(Ok(()), |existing| {
        Err(Error::ConfigMismatch {
            name: name.to_owned(),
            option: "scope",
            existing,
            given: given.to_owned(),
        })
    })
}

/// Releases a JavaScript object's hold on the handle.
#[napi]
pub fn release_reputation(handle: u32) -> Result<()> {
    thread::current()?.reputations.borrow_mut().release(handle);
    Ok(())
}

/// Ends a reputation: in this process, or in all that share it.
#[napi]
pub fn destroy_reputation(name: String, everywhere: Option<bool>) -> bool {
    let (reputation, bans, was_shared) = {
        // What a construction makes at the same time is destroyed as a whole, or not at all.
        let _one_at_a_time = OPENING.lock();
        // Before its name is free: the next one of this name reads what is written here.
        persistence::finish(&name);
        let was_shared = shared::destroy(&name, everywhere == Some(true));
        (REPUTATIONS.take(&name), sharing::named(&name), was_shared)
    };
    // Not under the lock: it may wait for the server. The reputation is open still, as what is sent last are its bans.
    if let Some(bans) = &bans {
        bans.close();
    }
    if let Some(reputation) = &reputation {
        reputation.close();
    }
    if let Some(bans) = &bans {
        sharing::forget(&name, bans);
    }
    reputation.is_some() || was_shared
}
