//! A reputation that the processes of a machine share: clients in a table of a mapping, lists and banned ranges in files.

mod client_words;
mod clients;
mod date;
mod histories;
#[cfg(all(test, not(sluice_shuttle)))]
pub(super) mod in_memory;
mod policy_words;
mod published_ranges;
mod range_file;
mod stored;

pub(super) use self::clients::MachineClients;
pub(super) use self::date::MachineDate;
pub use self::published_ranges::RangeFiles;
pub(super) use self::published_ranges::{FollowedRanges, PublishedRanges};
