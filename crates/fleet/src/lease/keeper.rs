//! The thread that gives back what is held and not used. It sleeps while nothing is held.

use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::limiter::FleetLimiter;
use crate::plan::Plan;

/// Between two checks.
const PERIOD: Duration = Duration::from_millis(250);

/// A limiter that holds units by a plan.
type Watched = (Weak<FleetLimiter>, Weak<Plan>);

#[derive(Default)]
struct Keeper {
    watched: Mutex<Vec<Watched>>,
    has_watched: Condvar,
}

/// `None` where the system has no thread for it: what is held lapses then.
static KEEPER: LazyLock<Option<Arc<Keeper>>> = LazyLock::new(|| {
    let keeper = Arc::<Keeper>::default();
    let own = Arc::clone(&keeper);
    let spawned = std::thread::Builder::new().name("sluice-leases".to_owned()).spawn(move || own.run());
    spawned.ok().map(|_| keeper)
});

/// Checks what a limiter holds by a plan from now on, until it holds nothing.
pub(crate) fn watch(limiter: &Arc<FleetLimiter>, plan: &Arc<Plan>) {
    if let Some(keeper) = &*KEEPER {
        keeper.watched.lock().push((Arc::downgrade(limiter), Arc::downgrade(plan)));
        keeper.has_watched.notify_one();
    }
}

impl Keeper {
    fn run(&self) {
        loop {
            {
                let mut watched = self.watched.lock();
                while watched.is_empty() {
                    self.has_watched.wait(&mut watched);
                }
            }
            std::thread::sleep(PERIOD);
            // Not under the lock: a limiter that begins to hold something is added meanwhile.
            let mut watched = std::mem::take(&mut *self.watched.lock());
            watched.retain(|(limiter, plan)| match (limiter.upgrade(), plan.upgrade()) {
                (Some(limiter), Some(plan)) => limiter.check_leases(&plan),
                _ => false,
            });
            self.watched.lock().append(&mut watched);
        }
    }
}
