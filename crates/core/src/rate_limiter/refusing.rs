//! How many clients a limiter refuses now: an estimate, made by a pass over the table when it is asked for.

use parking_lot::Mutex;

use super::config::RateLimiterConfig;
use super::contents::{Contents, with_table};
use super::decision::admit;
use crate::runtime::clock::MS;

/// For how long an estimate stands. No more often is the table read for it, whichever threads ask.
const STANDS: u64 = 1_000 * MS;

/// The last estimate, shared by all threads. Calls that charge know nothing of it.
#[derive(Debug, Default)]
pub(super) struct Refusing(Mutex<Option<Estimate>>);

#[derive(Clone, Copy, Debug)]
struct Estimate {
    made_at: u64,
    clients: u64,
}

impl Refusing {
    /// Clients whose next call of cost 1 is refused, by their quota or a block. The number is made anew once it is a
    /// second old; threads that ask meanwhile wait for it.
    pub(super) fn clients(&self, contents: &Contents, config: &RateLimiterConfig, now: u64) -> u64 {
        let mut last = self.0.lock();
        let current = last.filter(|last| last.made_at <= now && now - last.made_at < STANDS);
        let estimate =
            current.unwrap_or_else(|| Estimate { made_at: now, clients: count(contents, config, now) });
        *last = Some(estimate);
        estimate.clients
    }

    /// The next look reads the table: what was counted is void.
    pub(super) fn forget(&self) {
        *self.0.lock() = None;
    }
}

fn count(contents: &Contents, config: &RateLimiterConfig, now: u64) -> u64 {
    with_table!(contents, table => {
        table.count_clients(|client| admit(&config.rules, client, 1, now).is_none())
    })
}
