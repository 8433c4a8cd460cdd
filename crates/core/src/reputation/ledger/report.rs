//! What a reputation reports: bans, statistics, and its content for a file.

use super::{BANS, FAILURES, MANUAL_BANS, Reputation, UNBANS, UNTRACKED};
use crate::Result;
use crate::reputation::file;
use crate::reputation::history::History;
use crate::reputation::options::PersistOptions;
use crate::reputation::stats::ReputationStats;
use crate::reputation::verdict::Ban;

impl Reputation {
    /// The file that keeps it, and how often it is to be written; `None` where it is kept in no file.
    #[must_use]
    pub fn persisted(&self) -> Option<PersistOptions> {
        self.config.load().persist().cloned()
    }

    /// The bans in force, of ranges and of clients, the first to end first. One pass over all clients.
    ///
    /// # Errors
    ///
    /// `CLOSED`.
    pub fn bans(&self, now: u64) -> Result<Vec<Ban>> {
        self.check_open()?;
        let ranges = self.ranges_now();
        let of_ranges = ranges.bans.in_force(now).map(|(range, term)| Ban::of_range(range, term.clone()));
        let clients = self.clients.all();
        let of_clients = clients.into_iter().filter_map(|(client, history)| {
            Some(Ban::of_client(client.address(), history.ban_in_force(now)?.clone()))
        });
        let mut bans: Vec<_> = of_ranges.chain(of_clients).collect();
        bans.sort_by_key(|ban| (ban.until, ban.range));
        Ok(bans)
    }

    /// Everything but the lists, as bytes for a file. Its dates are times of the clock plus `date_ahead`.
    ///
    /// # Errors
    ///
    /// `CLOSED`.
    pub fn save(&self, now: u64, date_ahead: i64) -> Result<Vec<u8>> {
        self.check_open()?;
        let mut clients = self.clients.all();
        clients.retain(|(_, history)| history.matters(&self.config().policy, now));
        let ranges = self.ranges_now();
        Ok(file::encode(&clients, ranges.bans.in_force(now), date_ahead))
    }

    /// Merges the content of a file: the later end of a ban, the more past bans, and the more failures of the two. `source`
    /// names the file in errors.
    ///
    /// # Errors
    ///
    /// `CORRUPT_FILE`, `UNSUPPORTED_VERSION`, `CLOSED`; nothing is changed then.
    pub fn load(&self, bytes: &[u8], source: &str, now: u64, date_ahead: i64) -> Result<()> {
        self.check_open()?;
        let mut saved = file::decode(bytes, source, date_ahead)?;
        for (client, history) in &mut saved.clients {
            // The file may come from another `ipv6Prefix`, and from a clock that was ahead.
            *client = self.client(client.address());
            history.cut(now);
        }
        // Bans first, in case there are too few places.
        saved.clients.sort_by_key(|(_, history)| history.ban_in_force(now).is_none());
        let policy = self.config().policy;
        for (client, history) in saved.clients {
            let merge = |own: &mut History| own.merge(history.clone(), &policy, now);
            if self.clients.with(client, &policy, now, merge).is_err() {
                self.counters.add(UNTRACKED, 1);
            }
        }
        self.ban_ranges(saved.ranges, now)
    }

    /// Sums over all threads, and one pass over the clients.
    ///
    /// # Errors
    ///
    /// `CLOSED`.
    pub fn stats(&self, now: u64) -> Result<ReputationStats> {
        self.check_open()?;
        let (size, banned) = self.clients.count(&self.config().policy, now);
        let ranges = self.ranges_now();
        let [allow, deny] = ranges.lists.lengths();
        Ok(ReputationStats {
            failures: self.counters.sum(FAILURES),
            bans: self.counters.sum(BANS),
            manual_bans: self.counters.sum(MANUAL_BANS),
            unbans: self.counters.sum(UNBANS),
            untracked: self.counters.sum(UNTRACKED),
            evicted: self.clients.evicted(),
            banned,
            ranges: ranges.bans.in_force(now).count() as u64,
            allow,
            deny,
            size,
            capacity: self.config.load().capacity as u64,
        })
    }
}
