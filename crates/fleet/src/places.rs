//! Where a thread with a connection of its own connects to.

use crate::server::{Address, Node, Place, Target};

/// Where to connect to. What is kept in one slot of a cluster is on one of its nodes, which the others name.
#[derive(Default)]
pub(crate) struct Places {
    attempts: usize,
    told: Option<Address>,
}

impl Places {
    pub(crate) fn next(&self, target: &Target) -> Place {
        match target {
            Target::Place(place) => place.clone(),
            Target::Cluster(seeds) => {
                let seed = &seeds[self.attempts % seeds.len()];
                let address = self.told.clone().unwrap_or_else(|| seed.address.clone());
                Place::Node(Node { address, access: seed.access.clone() })
            }
        }
    }

    pub(crate) fn failed(&mut self) {
        self.attempts += 1;
        self.told = None;
    }

    /// Another node has what is looked for.
    pub(crate) fn moved(&mut self, to: Address) {
        self.told = Some(to);
    }
}
