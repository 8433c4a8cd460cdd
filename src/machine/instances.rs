//! Named instances that all processes of the machine share: what each component does with its own.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use sluice_core::Instances;
use sluice_machine::SharedInstance;

use super::check_clock;
use crate::runtime::{error, instances};

/// Opens an instance by a config that JavaScript has checked.
pub(crate) fn open<T: SharedInstance + Send + Sync>(
    env: &Env,
    all: &Instances<T>,
    name: &str,
    config: T::Config,
    reconfigures: Option<bool>,
) -> Result<Arc<T>> {
    error::check(env, check_clock(T::KIND, name))?;
    forget_closed(all, name);
    instances::open(env, all, name, Some(config), reconfigures)
}

/// The instance of this name, whether a test has reset it or not.
pub(crate) fn find<T: SharedInstance>(all: &Instances<T>, name: &str) -> Option<Arc<T>> {
    all.all().into_iter().find(|instance| instance.name() == name)
}

/// As [`find`], of one that no test has reset and no process has ended for all.
pub(crate) fn find_open<T: SharedInstance>(all: &Instances<T>, name: &str) -> Option<Arc<T>> {
    forget_closed(all, name);
    all.get_if_set(name)
}

/// Where another process has ended the instance for all, its name is free. Also of one that a test has reset.
pub(crate) fn forget_closed<T: SharedInstance>(all: &Instances<T>, name: &str) {
    if find(all, name).is_some_and(|instance| instance.is_closed_everywhere()) {
        all.destroy(name);
    }
}

/// Ends the instance in this process, or in all.
pub(crate) fn destroy<T: SharedInstance>(all: &Instances<T>, name: &str, everywhere: bool) -> bool {
    if everywhere && let Some(instance) = find(all, name) {
        instance.close_everywhere();
    }
    all.destroy(name)
}

/// The names of those that no test has reset, and no process has ended for all.
pub(crate) fn names<T: SharedInstance>(all: &Instances<T>) -> Vec<String> {
    let open = all.all().into_iter().filter(|instance| !instance.is_closed_everywhere());
    open.map(|instance| instance.name().to_owned()).filter(|name| all.get_if_set(name).is_some()).collect()
}
