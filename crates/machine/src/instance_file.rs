//! The file of an instance, as the engine asks for it: its time, its hash function, and which processes live.

use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;
use sluice_core::machine::Host;
use sluice_core::runtime::key_hash::KeyHasher;

use crate::error::Result;
use crate::repairs::{Repairs, repair};
use crate::shared::Shared;

/// What the file has to know of its instance.
pub(crate) trait InFile: Send + Sync + 'static {
    /// Nanoseconds from one look at the other processes to the next, on the way of calls.
    const LOOK_EVERY: u64;

    /// Mends what dead processes left; whether it did.
    fn mend(&self, shared: &Shared) -> bool;

    /// What is wrong with files that belong to the instance beside that of its state.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// The instance holds it, so the file stays as long as the instance.
pub(crate) struct InstanceFile<T> {
    pub(crate) shared: Arc<Shared>,
    /// What was wrong at the last look.
    trouble: Mutex<Option<String>>,
    repairs: Repairs,
    instance: OnceLock<Weak<T>>,
}

impl<T: InFile> InstanceFile<T> {
    pub(crate) fn new(shared: Shared) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::new(shared),
            trouble: Mutex::default(),
            repairs: Repairs::default(),
            instance: OnceLock::new(),
        })
    }

    /// To be called once the instance is made.
    pub(crate) fn holds(&self, instance: &Arc<T>) {
        self.instance.get_or_init(|| Arc::downgrade(instance));
    }

    /// Finds out which processes died, and has mended in another thread what they left. How many were found.
    pub(crate) fn look_after_now(&self) -> Result<usize> {
        // Whatever is wrong with the file: others may still use what it holds.
        let dead = self.shared.look_after();
        let mut trouble = dead.as_ref().err().map(ToString::to_string);
        if let Some(instance) = self.instance.get().and_then(Weak::upgrade) {
            trouble = trouble.or_else(|| instance.trouble());
            let shared = Arc::clone(&self.shared);
            self.repairs.begin(&self.shared, move || instance.mend(&shared));
        }
        *self.trouble.lock() = trouble;
        dead
    }

    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Mends what dead processes left, in the calling thread.
    pub(crate) fn repair(&self, instance: &T) {
        repair(&self.shared, || instance.mend(&self.shared));
    }
}

impl<T: InFile> Host for InstanceFile<T> {
    fn now(&self) -> u64 {
        self.shared.now()
    }

    fn now_for_call(&self) -> u64 {
        let now = self.now();
        if !self.shared.lookout().is_due(now, T::LOOK_EVERY) {
            return now;
        }
        self.look_after();
        // A look may leave the counter.
        self.now()
    }

    fn hasher(&self) -> &KeyHasher {
        self.shared.hasher()
    }

    fn look_after(&self) -> bool {
        // What is wrong with the file is kept for the statistics: the state stays usable.
        self.shared.lookout().take(self.now(), T::LOOK_EVERY)
            && self.look_after_now().map_or(true, |dead| dead > 0)
    }
}
