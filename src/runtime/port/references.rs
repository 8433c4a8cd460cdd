//! References to objects of JavaScript.

use std::cell::RefCell;
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use napi::bindgen_prelude::{Env, Result};
use napi::{check_status, sys};

/// References to objects of one environment. Node does not free them when the environment ends.
pub(super) struct References {
    env: sys::napi_env,
    of_copy: RefCell<Vec<sys::napi_ref>>,
    of_environment: RefCell<Vec<sys::napi_ref>>,
}

/// References of all living environments.
static REFERENCES: AtomicUsize = AtomicUsize::new(0);

impl References {
    /// The references of an environment. Each load of the addon has its own environment, which may end before the
    /// thread's hook runs. So each environment has a hook that deletes its references.
    pub(super) fn of(env: &Env) -> Result<Rc<Self>> {
        let references =
            Rc::new(Self { env: env.raw(), of_copy: RefCell::default(), of_environment: RefCell::default() });
        let held = Rc::into_raw(Rc::clone(&references)).cast_mut().cast::<c_void>();
        // SAFETY: the hook runs once, in this thread, and takes over the pointer's ownership.
        check_status!(unsafe { sys::napi_add_env_cleanup_hook(env.raw(), Some(delete_references), held) })?;
        Ok(references)
    }

    /// Holds a reference until the copy is gone, or the environment ends.
    pub(super) fn hold_for_copy(&self, reference: sys::napi_ref) {
        Self::hold(&self.of_copy, reference);
    }

    /// Holds a reference until the environment ends.
    pub(super) fn hold_for_environment(&self, reference: sys::napi_ref) {
        Self::hold(&self.of_environment, reference);
    }

    /// The copy is gone.
    pub(super) fn delete_of_copy(&self) {
        self.delete(&self.of_copy);
    }

    /// How many all living environments hold.
    pub(super) fn held() -> usize {
        REFERENCES.load(Ordering::Relaxed)
    }

    fn hold(list: &RefCell<Vec<sys::napi_ref>>, reference: sys::napi_ref) {
        list.borrow_mut().push(reference);
        // Relaxed: a count for tests, which publishes nothing.
        REFERENCES.fetch_add(1, Ordering::Relaxed);
    }

    fn delete(&self, list: &RefCell<Vec<sys::napi_ref>>) {
        for reference in list.take() {
            // SAFETY: made by this environment, which still exists; deleted once, and used by nothing afterwards.
            unsafe { sys::napi_delete_reference(self.env, reference) };
            REFERENCES.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

unsafe extern "C" fn delete_references(references: *mut c_void) {
    // SAFETY: comes from `Rc::into_raw` in `References::of`, and this hook runs once.
    let references = unsafe { Rc::from_raw(references.cast::<References>()) };
    references.delete(&references.of_copy);
    references.delete(&references.of_environment);
}
