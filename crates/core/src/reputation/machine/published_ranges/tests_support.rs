//! Processes that share lists whose files lie in memory.
#![allow(dead_code, reason = "models and tests use some of it each")]

use super::*;
use crate::reputation::machine::in_memory::InMemory;
use crate::reputation::verdict::BanTerm;

pub(super) const FIRST: &str = "192.0.2.0/24";
pub(super) const SECOND: &str = "198.51.100.0/24";

pub(super) struct Process {
    pub(super) published: PublishedRanges,
    pub(super) ranges: SharedRanges,
    pub(super) files: InMemory,
}

impl Process {
    fn followed(&self) -> FollowedRanges<'_> {
        FollowedRanges { ranges: &self.ranges, changed: &|_, _| {} }
    }

    pub(super) fn ban(&self, range: &str) {
        let range = range.parse().expect("a range");
        let ban = |ranges: Ranges| {
            let bans = ranges.bans.with([(range, BanTerm::by_hand(crate::reputation::FOREVER, None))], 0);
            Some(Ranges { bans: Arc::new(bans), ..ranges })
        };
        self.published.change(&self.followed(), 0, ban).expect("room");
    }

    /// The banned ranges, in order, as this process finds them.
    pub(super) fn banned(&self) -> Vec<String> {
        self.published.follow(&self.followed());
        let ranges = self.ranges.load();
        let mut banned: Vec<_> = ranges.bans.in_force(0).map(|(range, _)| range.to_string()).collect();
        banned.sort();
        banned
    }

    /// Why the lists in force cannot be read.
    pub(super) fn refused(&self) -> Option<String> {
        self.published.check(&self.followed()).err().map(|error| error.to_string())
    }

    /// Leaves a file that is not in force, as a process does that is killed before it brings it into force.
    pub(super) fn leave_a_file(&self) {
        let own = self.published.processes.own().expect("a row");
        self.published.create(&mut self.published.turn.lock(), own, b"left").expect("room");
    }

    pub(super) fn die(&self, other: &Self) {
        assert!(other.published.processes.bury(self.published.processes.own().expect("a row")));
    }
}

pub(super) fn two() -> [Process; 2] {
    let first = Processes::new(&Arena::measure()).expect("room");
    let second = first.with_same_rows();
    first.take(0, 1, 1);
    second.take(1, 2, 2);
    let files = InMemory::default();
    let process =
        |published| Process { published, ranges: SharedRanges::new(Ranges::default()), files: files.clone() };
    let published =
        PublishedRanges::new(Ranges::default(), Box::new(files.clone()), &Arena::measure(), Arc::new(first));
    let published = published.expect("room");
    let of_second = published.of_process(Box::new(files.clone()), Arc::new(second));
    [process(published), process(of_second)]
}
