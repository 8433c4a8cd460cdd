//! Opening and ending reputations, each in one native call.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::{Instance, Reputation, ReputationConfig, ReputationOptions};

use super::persistence::NativePersistence;
use super::{REPUTATIONS, persistence, shared, sharing};
use crate::fleet::NativeScope;
use crate::machine::NativeSharedScope;
use crate::runtime::instances::{self, check_other, scope_of};
use crate::runtime::options::Given;
use crate::runtime::{error, thread};

/// Held while an instance is looked for in one place and made in another, and until a new one has the bans of its file and
/// shares them with a fleet: no thread attaches to it before, and none destroys it.
pub(super) static OPENING: Mutex<()> = Mutex::new(());

/// A reputation that was opened.
#[napi(object)]
pub struct NativeOpenedReputation {
    /// This thread's.
    pub handle: u32,
    /// None where no file keeps it.
    pub persistence: Option<NativePersistence>,
}

/// Attaches to a reputation or creates it. With `scope` all processes of the machine share it, with
/// `fleet` many machines share its bans.
#[napi]
pub fn open_reputation(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
    scope: Option<NativeSharedScope>,
    fleet: Option<NativeScope>,
) -> Result<NativeOpenedReputation> {
    let options = options.map(|options| ReputationOptions::read(&Given(options)));
    let config = options.map(|options| options.and_then(ReputationConfig::try_from));
    let config = error::check(&env, config.transpose())?;
    let sharing = fleet.map(|fleet| sharing::options_of(&env, fleet)).transpose()?;
    let thread = thread::current()?;
    let _one_at_a_time = OPENING.lock();
    let reputation = open(&env, &name, config, reconfigures, scope)?;
    let persistence = persistence::keep(&reputation, thread.id);
    if let Some(options) = sharing {
        sharing::share(&name, &reputation, options);
    }
    let handle = thread.reputations.borrow_mut().hold(reputation);
    Ok(NativeOpenedReputation { handle, persistence })
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
            check_other(env, name, existing, || format!("shared {:?}", scope.directory))?;
            shared::open(env, name, scope, config, reconfigures)
        }
        (Some(config), None) => {
            let given = || scope_of(Reputation::list_options(&config)).unwrap_or_default();
            check_other(env, name, shared::options(name).and_then(scope_of), given)?;
            instances::open(env, &REPUTATIONS, name, Some(config), reconfigures)
        }
        (None, _) => match shared::find(name) {
            Some(reputation) => Ok(reputation),
            None => instances::open(env, &REPUTATIONS, name, None, reconfigures),
        },
    }
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
    let (reputation, was_shared) = {
        // What a construction makes at the same time is destroyed as a whole, or not at all.
        let _one_at_a_time = OPENING.lock();
        // Before its name is free: the next one of this name reads what is written here.
        persistence::finish(&name);
        let was_shared = shared::destroy(&name, everywhere == Some(true));
        (REPUTATIONS.take(&name), was_shared)
    };
    let Some(reputation) = reputation else { return was_shared };
    let bans = sharing::find(&reputation);
    // Not under the lock: it may wait for the server. The reputation is open still, as what is sent last are its bans.
    if let Some(bans) = &bans {
        bans.close();
    }
    reputation.close();
    if let Some(bans) = &bans {
        sharing::forget(bans);
    }
    true
}
