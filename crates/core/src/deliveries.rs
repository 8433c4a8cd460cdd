//! Everything that a thread's mailbox may hold: the events and commands of all components, and those of the process.
//!
//! Components send through an [`EventSink`](crate::runtime::mailbox::EventSink) of their own events and do not see this
//! list.

use std::sync::Arc;

use crate::circuit_breaker::CircuitChange;
use crate::client_hub::HubEvent;
use crate::connection_tracker::ConnectionEvent;
use crate::lifecycle::{LifecycleEvent, LifecycleState};
use crate::registry::RegistryChange;
use crate::reputation::BanEvent;
use crate::runtime::mailbox::{self, Queued};
use crate::security_monitor::Alert;
use crate::semaphore::SemaphoreEvent;

/// The mailbox of a thread.
pub type Mailbox = mailbox::Mailbox<Item>;

/// What a thread takes out of its mailbox.
pub type Delivery = mailbox::Delivery<Item>;

/// An event or a command for a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A key of a registry has another value, or none.
    RegistryChange(RegistryChange),
    /// A circuit has another state.
    CircuitChange(CircuitChange),
    /// A connection that this thread serves is to be closed.
    CloseConnection {
        /// Its number, which no other ever has; an id may be another's by the time this is read.
        serial: u64,
        /// Only if nothing was transferred for this many milliseconds.
        if_idle_ms: Option<u64>,
    },
    /// A rule of a security monitor was met.
    SecurityAlert(Arc<Alert>),
    /// A ban of a reputation began, was lifted, or ended.
    BanEvent(Arc<BanEvent>),
    /// What became of pending calls at a hub.
    Hub(HubEvent),
    /// What became of calls that wait at a semaphore.
    Semaphore(SemaphoreEvent),
    /// The number of open connections fell to zero.
    Drained,
    /// A lifecycle has another state.
    LifecycleChange {
        /// The state now.
        state: LifecycleState,
    },
    /// Something of a lifecycle changed that a member acts on.
    LifecycleMoved,
    /// The test clock was moved.
    ClockMoved,
    /// An instance uses more memory than before, or less.
    MemoryMoved,
    /// The instance of the subscription was destroyed: nothing more will come.
    Destroyed,
    /// A cluster worker opened a port, or leaves its cluster.
    ListenersChanged,
    /// Another thread is to serve the inspection of the process.
    InspectionMoved,
    /// A test has emptied every instance.
    Reset,
    /// An instance has other options.
    OptionsChanged,
    /// Something is measured from now on that was not before.
    MeasuredChanged,
    /// Another process of the fleet was found to have other options.
    DifferencesFound,
}

impl Queued for Item {
    const DESTROYED: Self = Self::Destroyed;

    fn may_be_dropped(&self) -> bool {
        matches!(
            self,
            Self::RegistryChange(_)
                | Self::CircuitChange(_)
                | Self::SecurityAlert(_)
                | Self::BanEvent(_)
                | Self::LifecycleChange { .. }
        )
    }
}

impl From<RegistryChange> for Item {
    fn from(change: RegistryChange) -> Self {
        Self::RegistryChange(change)
    }
}

impl From<CircuitChange> for Item {
    fn from(change: CircuitChange) -> Self {
        Self::CircuitChange(change)
    }
}

impl From<ConnectionEvent> for Item {
    fn from(event: ConnectionEvent) -> Self {
        match event {
            ConnectionEvent::Close { serial, if_idle_ms } => Self::CloseConnection { serial, if_idle_ms },
            ConnectionEvent::Drained => Self::Drained,
        }
    }
}

impl From<LifecycleEvent> for Item {
    fn from(event: LifecycleEvent) -> Self {
        match event {
            LifecycleEvent::Changed(state) => Self::LifecycleChange { state },
            LifecycleEvent::Moved => Self::LifecycleMoved,
        }
    }
}

impl From<Arc<Alert>> for Item {
    fn from(alert: Arc<Alert>) -> Self {
        Self::SecurityAlert(alert)
    }
}

impl From<Arc<BanEvent>> for Item {
    fn from(event: Arc<BanEvent>) -> Self {
        Self::BanEvent(event)
    }
}

impl From<SemaphoreEvent> for Item {
    fn from(event: SemaphoreEvent) -> Self {
        Self::Semaphore(event)
    }
}

impl From<HubEvent> for Item {
    fn from(event: HubEvent) -> Self {
        Self::Hub(event)
    }
}
