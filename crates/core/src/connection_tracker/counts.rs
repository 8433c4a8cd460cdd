//! How many connections are open, in total and by client.

mod holdings;
mod of_machine;
mod of_process;

use std::result::Result;
use std::sync::Arc;

pub(super) use self::of_machine::{CountsOfMachine, OwnPart};
pub(super) use self::of_process::CountsOfProcess;
use super::options::ConnectionTrackerOptions;
use super::refusal::Refusal;

/// Open connections of all threads of a process, or of all processes of a machine: never more than `max`, nor than
/// `maxPerClient` of one client.
pub(super) enum Counts {
    OfProcess(CountsOfProcess),
    OfMachine(Box<CountsOfMachine>),
}

/// Counts that connections are opened and closed by. As long as it is held, the connections of this process are not counted
/// anew; see [`CountsOfMachine::count_anew`].
pub(super) enum Counting<'a> {
    OfProcess(&'a CountsOfProcess),
    OfMachine(OwnPart<'a>),
}

impl Counts {
    /// The caller has kept up with what other processes think of this one.
    pub(super) fn enter(&self) -> Counting<'_> {
        match self {
            Self::OfProcess(counts) => Counting::OfProcess(counts),
            Self::OfMachine(counts) => Counting::OfMachine(counts.enter()),
        }
    }

    /// Open connections of all threads, and of all processes that count together.
    pub(super) fn total(&self) -> u64 {
        match self {
            Self::OfProcess(counts) => counts.total(),
            Self::OfMachine(counts) => counts.look_after().enter().total(),
        }
    }

    /// Open connections of this process.
    pub(super) fn total_of_process(&self) -> u64 {
        match self {
            Self::OfProcess(counts) => counts.total(),
            Self::OfMachine(counts) => counts.enter().total_of_process(),
        }
    }

    pub(super) fn of_client(&self, client: &str) -> u64 {
        match self {
            Self::OfProcess(counts) => counts.of_client(client),
            Self::OfMachine(counts) => counts.look_after().enter().of_client(client),
        }
    }
}

impl Counting<'_> {
    /// Counts one connection more in total.
    pub(super) fn try_raise(&self, options: &ConnectionTrackerOptions) -> Result<(), Refusal> {
        match self {
            Self::OfProcess(counts) => counts.try_raise(options),
            Self::OfMachine(counts) => counts.try_raise(options),
        }
    }

    /// Counts one connection more of the client and in total, or neither.
    pub(super) fn try_raise_both(
        &self,
        client: &Arc<str>,
        options: &ConnectionTrackerOptions,
    ) -> Result<(), Refusal> {
        match self {
            Self::OfProcess(counts) => counts.try_raise_both(client, options),
            Self::OfMachine(counts) => counts.try_raise_both(client, options),
        }
    }

    /// Counts one connection more of the client, which counts in total already.
    pub(super) fn try_raise_client(
        &self,
        client: &Arc<str>,
        options: &ConnectionTrackerOptions,
    ) -> Result<(), Refusal> {
        match self {
            Self::OfProcess(counts) => counts.try_raise_client(client, options),
            Self::OfMachine(counts) => counts.try_raise_client(client, options),
        }
    }

    /// Counts one connection less in total, and of the client if there is one. Returns how many are left in this process.
    pub(super) fn lower(&self, client: Option<&Arc<str>>) -> u64 {
        match self {
            Self::OfProcess(counts) => counts.lower(client),
            Self::OfMachine(counts) => counts.lower(client),
        }
    }

    pub(super) fn lower_client(&self, client: &Arc<str>) {
        match self {
            Self::OfProcess(counts) => counts.lower_client(client),
            Self::OfMachine(counts) => counts.lower_client(client),
        }
    }
}
