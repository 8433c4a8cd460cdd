//! What becomes of a client's ban beside its history: the line that readers look at, and what subscribers hear.

use super::ban_lines::BanLines;
use super::ban_watch::BanWatch;

pub(super) struct Bans {
    pub(super) lines: BanLines,
    pub(super) watch: BanWatch,
}

impl Bans {
    /// For so many clients.
    pub(super) fn new(clients: usize) -> Self {
        Self { lines: BanLines::new(clients), watch: BanWatch::default() }
    }
}
