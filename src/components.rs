//! The components, in one table. Exports, the end of a thread, the test clock, `reset` of the tests and the declarations
//! for JavaScript all come from it: a component that is missing here does not exist for JavaScript.

use std::cell::RefCell;
use std::sync::Arc;

use napi::bindgen_prelude::Result;
use sluice_core::client_key::ClientAddress;
use sluice_core::runtime::clock::{self, SetBack};
use sluice_core::{
    ClientHub, ConnectionTracker, Guard, LocalBreaker, LocalHandle, LocalHitCounter, LocalMonitor,
    LocalShedder, Registry, Reputation, ThreadId, Waits,
};

use sluice_fleet::LocalFleet;

use crate::runtime::raw::Exports;
use crate::runtime::seam::Declarations;
use crate::runtime::slab::Slab;
use crate::{
    broker, circuit_breaker, client_hub, client_key, connection_tracker, fleet, guard, hit_counter,
    inspection, lifecycle, listen, load_shedder, observation, rate_limiter, registry, reputation,
    security_monitor, semaphore,
};

/// What the binding has of one component.
pub(crate) struct Component {
    /// What the process holds of it: usually its named instances.
    pub(crate) state: &'static dyn sluice_core::Component,
    /// Adds its raw functions.
    pub(crate) export: fn(&Exports<'_>) -> Result<()>,
    /// What JavaScript has to know of it.
    pub(crate) declarations: Declarations,
}

/// What one thread holds of each component, by the handles that JavaScript has.
#[derive(Default)]
pub(crate) struct Handles {
    pub(crate) breakers: RefCell<Slab<LocalBreaker>>,
    pub(crate) hubs: RefCell<Slab<Arc<ClientHub>>>,
    pub(crate) hit_counters: RefCell<Slab<LocalHitCounter>>,
    pub(crate) limiters: RefCell<Slab<LocalHandle>>,
    pub(crate) shared_limiters: RefCell<Slab<rate_limiter::LocalShared>>,
    pub(crate) waits: RefCell<Slab<Arc<Waits>>>,
    pub(crate) fleets: RefCell<Slab<LocalFleet>>,
    pub(crate) fleet_desks: RefCell<Slab<Arc<fleet::PortDesk>>>,
    pub(crate) trackers: RefCell<Slab<Arc<ConnectionTracker>>>,
    pub(crate) registries: RefCell<Slab<Arc<Registry>>>,
    pub(crate) reputations: RefCell<Slab<Arc<Reputation>>>,
    pub(crate) client_addresses: RefCell<Slab<Arc<ClientAddress>>>,
    pub(crate) guards: RefCell<Slab<Arc<Guard>>>,
    pub(crate) lifecycles: RefCell<Slab<Arc<lifecycle::Part>>>,
    pub(crate) tokens: RefCell<Slab<Arc<lifecycle::Child>>>,
    pub(crate) monitors: RefCell<Slab<LocalMonitor>>,
    pub(crate) semaphores: RefCell<Slab<semaphore::LocalSemaphore>>,
    pub(crate) shedders: RefCell<Slab<LocalShedder>>,
    pub(crate) event_loop: load_shedder::ThreadLoop,
    pub(crate) memberships: broker::Memberships,
    pub(crate) samplers: observation::Samplers,
}

static COMPONENTS: [Component; 18] = [
    broker::COMPONENT,
    circuit_breaker::COMPONENT,
    client_hub::COMPONENT,
    client_key::COMPONENT,
    connection_tracker::COMPONENT,
    fleet::COMPONENT,
    guard::COMPONENT,
    hit_counter::COMPONENT,
    inspection::COMPONENT,
    lifecycle::COMPONENT,
    listen::COMPONENT,
    load_shedder::COMPONENT,
    observation::COMPONENT,
    rate_limiter::COMPONENT,
    registry::COMPONENT,
    reputation::COMPONENT,
    security_monitor::COMPONENT,
    semaphore::COMPONENT,
];

/// Adds the raw functions of all components.
pub(crate) fn export(exports: &Exports<'_>) -> Result<()> {
    COMPONENTS.iter().try_for_each(|component| (component.export)(exports))
}

/// Releases everything that a thread held.
pub(crate) fn thread_ended(thread: ThreadId) {
    crate::runtime::followed_clock::thread_ended();
    for component in &COMPONENTS {
        component.state.thread_ended(thread, clock::now());
    }
}

/// A test set the clock back.
pub(crate) fn clock_was_set_back(set_back: SetBack) {
    for component in &COMPONENTS {
        component.state.clock_was_set_back(set_back);
    }
}

/// Empties every component.
pub(crate) fn reset() {
    for component in &COMPONENTS {
        component.state.reset();
    }
}

/// The names of all instances, by what they are called.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, Vec<String>)> {
    COMPONENTS.iter().filter_map(|component| component.state.names())
}

/// What JavaScript has to know of each component.
pub(crate) fn declarations() -> impl Iterator<Item = &'static Declarations> {
    COMPONENTS.iter().map(|component| &component.declarations)
}
