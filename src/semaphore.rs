//! `Semaphore`: raw calls for permits, `#[napi]` for the rest.

mod calls;
mod events;
mod stats;

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use sluice_core::{Instances, Semaphore, SemaphoreConfig, SemaphoreOptions};

use crate::components::Component;
use crate::runtime::numbers::double;
use crate::runtime::options::Given;
use crate::runtime::seam::{Declarations, Layout};
use crate::runtime::slab::Held;
use crate::runtime::{error, instances, thread};

use calls::{SemaphoreAnswer, SemaphoreCall, SemaphoreTimes};
pub(crate) use events::NativeSemaphoreEvent;

static SEMAPHORES: Instances<Semaphore> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &SEMAPHORES,
    export: calls::export,
    declarations: Declarations {
        layouts: &[SemaphoreCall::DESCRIPTION, SemaphoreAnswer::DESCRIPTION, SemaphoreTimes::DESCRIPTION],
        codes: &[],
        options: &[("Semaphore", SemaphoreOptions::FIELDS)],
    },
};

/// A thread's handle of a semaphore.
pub(crate) struct LocalSemaphore {
    semaphore: Arc<Semaphore>,
    /// Calls of this thread that were served, where one answer has no room for all of them.
    granted: Vec<u64>,
}

impl Held for LocalSemaphore {
    type Instance = Semaphore;

    fn hold(semaphore: Arc<Semaphore>) -> Self {
        Self { semaphore, granted: Vec::new() }
    }

    fn instance(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }
}

/// Attaches to a semaphore or creates it; the handle is this thread's.
#[napi]
pub fn open_semaphore(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let options = options.map(|options| SemaphoreOptions::read(&Given(options)));
    let config = options.map(|options| options.and_then(SemaphoreConfig::try_from));
    let config = error::check(&env, config.transpose())?;
    let semaphore = instances::open(&env, &SEMAPHORES, &name, config, reconfigures)?;
    Ok(thread::current()?.semaphores.borrow_mut().hold(semaphore))
}

/// Releases one reference to the handle: a JavaScript object that used it was collected.
#[napi]
pub fn release_semaphore(handle: u32) -> Result<()> {
    thread::current()?.semaphores.borrow_mut().release(handle);
    Ok(())
}

#[napi]
pub fn destroy_semaphore(name: String) -> bool {
    SEMAPHORES.destroy(&name)
}

/// Takes other options. What is left out stays as it is.
#[napi]
pub fn reconfigure_semaphore(
    env: Env,
    handle: u32,
    #[napi(ts_arg_type = "object")] options: Object<'_>,
) -> Result<()> {
    let options = Given(options);
    error::check(&env, semaphore(handle)?.reconfigure(|in_force| in_force.update(&options)))
}

/// The calls of this thread that the last answers had no room for, the last one first. They have their permits.
#[napi]
pub fn take_granted_waits(handle: u32) -> Result<Vec<f64>> {
    let mut semaphores = thread::current()?.semaphores.borrow_mut();
    let granted = std::mem::take(&mut semaphores.get_mut(handle)?.granted);
    Ok(granted.into_iter().rev().map(double).collect())
}

fn semaphore(handle: u32) -> Result<Arc<Semaphore>> {
    Ok(Arc::clone(thread::current()?.semaphores.borrow().get(handle)?.instance()))
}
