//! The clients of a reputation: those of this process, or of all processes of the machine.

use super::ban_watch::BanWatch;
use super::client::Client;
use super::clients::{Clients, Full};
use super::history::History;
use super::machine::MachineClients;
use super::policy::Policy;
use crate::runtime::clock::SetBack;

#[expect(
    clippy::large_enum_variant,
    reason = "one per reputation; a box would be one more look-up in every call"
)]
pub(super) enum Store {
    OfProcess(Clients),
    OfMachine(MachineClients),
}

impl Store {
    /// Whether a client is banned.
    #[inline]
    pub(super) fn is_banned(&self, client: Client, now: u64) -> bool {
        match self {
            Self::OfProcess(clients) => clients.is_banned(client, now),
            Self::OfMachine(clients) => clients.is_banned(client, now),
        }
    }

    /// Reads the history of a known client.
    pub(super) fn read<R>(&self, client: Client, look: impl FnOnce(&History) -> R) -> Option<R> {
        match self {
            Self::OfProcess(clients) => clients.read(client, look),
            Self::OfMachine(clients) => clients.read(client, look),
        }
    }

    /// Changes the history of a known client. `change` may be called more than once; its last result holds.
    pub(super) fn existing<R>(
        &self,
        client: Client,
        now: u64,
        change: impl Fn(&mut History) -> R,
    ) -> Option<R> {
        match self {
            Self::OfProcess(clients) => clients.existing(client, now, change),
            Self::OfMachine(clients) => clients.existing(client, now, change),
        }
    }

    /// Changes the history of a client, which is new where it is not known. A new history is stored if it then matters.
    /// `change` may be called more than once; its last result holds.
    pub(super) fn with<R>(
        &self,
        client: Client,
        policy: &Policy,
        now: u64,
        change: impl Fn(&mut History) -> R,
    ) -> Result<R, Full> {
        match self {
            Self::OfProcess(clients) => clients.with(client, now, change),
            Self::OfMachine(clients) => clients.with(client, policy, now, change).map_err(|_| Full),
        }
    }

    /// Forgets a client's failures that have not led to a ban.
    pub(super) fn forgive(&self, client: Client) {
        match self {
            Self::OfProcess(clients) => clients.forgive(client),
            Self::OfMachine(clients) => clients.forgive(client),
        }
    }

    /// What subscribers hear of bans, of clients and of ranges.
    pub(super) fn watch(&self) -> &BanWatch {
        match self {
            Self::OfProcess(clients) => clients.watch(),
            Self::OfMachine(clients) => clients.watch(),
        }
    }

    /// Notes the bans in force.
    pub(super) fn note_bans(&self, now: u64) {
        match self {
            Self::OfProcess(clients) => clients.note_bans(now),
            Self::OfMachine(clients) => clients.note_bans(now),
        }
    }

    /// Every client; their histories are read one after the other.
    pub(super) fn all(&self) -> Vec<(Client, History)> {
        match self {
            Self::OfProcess(clients) => clients.all(),
            Self::OfMachine(clients) => clients.all(),
        }
    }

    /// How many clients matter, and how many are banned. One pass over all.
    pub(super) fn count(&self, policy: &Policy, now: u64) -> (u64, u64) {
        match self {
            Self::OfProcess(clients) => clients.count(now),
            Self::OfMachine(clients) => clients.count(policy, now),
        }
    }

    /// Clients that were evicted while something of them counted.
    pub(super) fn evicted(&self) -> u64 {
        match self {
            Self::OfProcess(clients) => clients.evicted(),
            Self::OfMachine(clients) => clients.evicted(),
        }
    }

    /// Applies other options from the next call on. The capacity changes only while there are no clients.
    pub(super) fn reconfigure(&self, capacity: usize, policy: Policy) {
        if let Self::OfProcess(clients) = self {
            clients.reconfigure(capacity, policy);
        }
    }

    /// A test set the clock back. The clock of a machine is not set.
    pub(super) fn clock_was_set_back(&self, set_back: SetBack) {
        if let Self::OfProcess(clients) = self {
            clients.clock_was_set_back(set_back);
        }
    }

    /// Removes every client of this process. Those of a machine belong to others as well.
    pub(super) fn clear(&self) {
        if let Self::OfProcess(clients) = self {
            clients.clear();
        }
    }
}
