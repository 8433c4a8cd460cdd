//! `ClientHub`: raw calls for reads, `#[napi]` for the rest. Values and errors cross as bytes, which only JavaScript
//! decodes.

mod calls;
mod events;
mod reads;
mod stats;

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use sluice_core::runtime::key_hash::hash_str;
use sluice_core::{ClientHub, ClientHubConfig, ClientHubOptions, Instances};

use crate::components::Component;
use crate::runtime::error;
use crate::runtime::instances;
use crate::runtime::options::Given;
use crate::runtime::seam::Declarations;
use crate::runtime::thread;

pub(crate) use events::NativeHubEvent;

static HUBS: Instances<ClientHub> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &HUBS,
    export: reads::export,
    declarations: Declarations {
        layouts: &[],
        codes: &[],
        options: &[("ClientHub", ClientHubOptions::FIELDS)],
    },
};

/// Attaches to a hub, or creates it. The handle belongs to the calling thread.
#[napi]
pub fn open_client_hub(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object")] options: Object<'_>,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let options = ClientHubOptions::read(&Given(options));
    let config = error::check(&env, options.and_then(ClientHubConfig::try_from))?;
    let hub = instances::open(&env, &HUBS, &name, Some(config), reconfigures)?;
    Ok(thread::current()?.hubs.borrow_mut().hold(hub))
}

/// Releases one reference to the handle: a JavaScript object that used it was collected.
#[napi]
pub fn release_client_hub(handle: u32) -> Result<()> {
    thread::current()?.hubs.borrow_mut().release(handle);
    Ok(())
}

#[napi]
pub fn destroy_client_hub(name: String) -> bool {
    HUBS.destroy(&name)
}

#[napi]
pub fn invalidate_in_hub(env: Env, handle: u32, key: String) -> Result<bool> {
    error::check(&env, hub(handle)?.invalidate(hash_str(&key)))
}

fn hub(handle: u32) -> Result<Arc<ClientHub>> {
    thread::current()?.hubs.borrow().get(handle).cloned()
}
