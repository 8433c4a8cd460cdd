//! Open connections of all processes of a machine.

use std::io;
use std::result::Result;
use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard};

use super::holdings::{Caps, Holdings, Place};
use crate::connection_tracker::options::ConnectionTrackerOptions;
use crate::connection_tracker::refusal::Refusal;
use crate::machine::{Host, Owner, Processes};
use crate::runtime::arena::Arena;
use crate::runtime::key_hash::KeyHash;

/// The counts of all processes, and this process's part in them.
pub(in crate::connection_tracker) struct CountsOfMachine {
    holdings: Holdings,
    host: Arc<dyn Host>,
    /// The name under which this process counts. It gets another one where it was taken for dead.
    own: RwLock<Owner>,
}

/// This process's part, while its name stays.
pub(in crate::connection_tracker) struct OwnPart<'a> {
    counts: &'a CountsOfMachine,
    own: RwLockReadGuard<'a, Owner>,
}

impl CountsOfMachine {
    /// Room for so many clients, each in one process. An error where the memory is too short, or this process has no row.
    pub(in crate::connection_tracker) fn new(
        clients: usize,
        arena: &Arena,
        processes: &Arc<Processes>,
        host: Arc<dyn Host>,
    ) -> io::Result<Self> {
        let own = RwLock::new(processes.own().ok_or(io::ErrorKind::NotConnected)?);
        let holdings = Holdings::new(clients, arena, Arc::clone(processes), host.hasher())?;
        Ok(Self { holdings, host, own })
    }

    /// So that what a process held is not reported long after its end.
    pub(super) fn look_after(&self) -> &Self {
        self.host.look_after();
        self
    }

    pub(super) fn enter(&self) -> OwnPart<'_> {
        OwnPart { counts: self, own: self.own.read() }
    }

    pub(in crate::connection_tracker) fn processes(&self) -> &Processes {
        self.holdings.processes()
    }

    /// Cancels inserts that killed processes had begun. How many there were.
    pub(in crate::connection_tracker) fn repair(&self) -> u64 {
        self.holdings.repair()
    }

    /// Whether other processes took this one for dead, so that its connections count no more.
    pub(in crate::connection_tracker) fn is_lost(&self) -> bool {
        !self.processes().is_live(*self.own.read())
    }

    /// Counts the open connections under the name that this process has got since it was taken for dead: for each, the
    /// client that it counts for.
    pub(in crate::connection_tracker) fn count_anew(&self, open: impl FnOnce() -> Vec<Option<Arc<str>>>) {
        self.host.look_after();
        let mut own = self.own.write();
        let Some(now) = self.processes().own().filter(|now| now != &*own) else { return };
        *own = now;
        for client in open() {
            let client = client.map(|client| self.hash(&client));
            self.holdings.open(now, Place { in_total: true, client });
        }
    }

    fn hash(&self, client: &str) -> KeyHash {
        self.host.hasher().bytes(client.as_bytes())
    }
}

impl OwnPart<'_> {
    pub(super) fn total(&self) -> u64 {
        self.counts.holdings.total(*self.own).confirmed
    }

    pub(super) fn total_of_process(&self) -> u64 {
        self.counts.holdings.own_total(*self.own)
    }

    pub(super) fn of_client(&self, client: &str) -> u64 {
        self.counts.holdings.of_client(*self.own, self.counts.hash(client)).confirmed
    }

    pub(super) fn try_raise(&self, options: &ConnectionTrackerOptions) -> Result<(), Refusal> {
        self.open(Place { in_total: true, client: None }, options)
    }

    pub(super) fn try_raise_both(
        &self,
        client: &str,
        options: &ConnectionTrackerOptions,
    ) -> Result<(), Refusal> {
        self.open(Place { in_total: true, client: Some(self.counts.hash(client)) }, options)
    }

    pub(super) fn try_raise_client(
        &self,
        client: &str,
        options: &ConnectionTrackerOptions,
    ) -> Result<(), Refusal> {
        self.open(Place { in_total: false, client: Some(self.counts.hash(client)) }, options)
    }

    pub(super) fn lower(&self, client: Option<&Arc<str>>) -> u64 {
        let client = client.map(|client| self.counts.hash(client));
        self.counts.holdings.close(*self.own, Place { in_total: true, client });
        self.total_of_process()
    }

    pub(super) fn lower_client(&self, client: &str) {
        let place = Place { in_total: false, client: Some(self.counts.hash(client)) };
        self.counts.holdings.close(*self.own, place);
    }

    fn open(&self, place: Place, options: &ConnectionTrackerOptions) -> Result<(), Refusal> {
        let caps = Caps { max: options.max, max_per_client: options.max_per_client };
        self.counts.holdings.try_open(*self.own, place, caps, &*self.counts.host)
    }
}
