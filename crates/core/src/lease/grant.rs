//! What a server has granted.

use super::planted::mistaken;

/// The share by which a lease is cut: clocks drift.
const CUT: u64 = 1_024;

/// A grant of units, as the server's answer tells it. Times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    /// When it was asked for, by this process's clock.
    pub sent: u64,
    /// Units by which pending calls were admitted, of each limit.
    pub used: u64,
    /// Of each limit, in their order.
    pub shares: &'a [GrantShare],
}

/// What one limit has granted. Times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantShare {
    /// From when the server decided until the last unit lapses.
    pub length: u64,
    /// Units that no call has used.
    pub kept: u64,
    /// Where the row of slots ended before, as [`GrantId::row_end`] says it.
    pub follows: u64,
    /// What the server has to find to take units back.
    pub id: GrantId,
}

/// What a server has taken back of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenBack {
    /// Units.
    pub units: u64,
    /// Where the row of slots ended before.
    pub follows: u64,
    /// What the key is left at.
    pub id: GrantId,
}

/// By what a server recognises that it has granted nothing since: numbers of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantId {
    /// When it decided, in microseconds.
    pub at: u64,
    /// What the key was left at: a debt, or the end of a window.
    pub state: u64,
    /// By GCRA, where the row of slots ends, in ticks of the server's clock: where no other process was granted
    /// units, the next grant follows there.
    pub row_end: u64,
    /// Whether units can go back as long as `state` is the same, whenever the last grant was.
    pub is_window: bool,
}

impl GrantShare {
    /// When the last unit lapses, by this process's clock, where it was asked for at `sent`: not before the server has
    /// decided, which was after that.
    pub(super) fn end(&self, sent: u64, now: u64) -> u64 {
        let from = if mistaken!(TimedFromAnswer) { now } else { sent };
        from + cut(self.length)
    }

    /// Whether its units may go back together with those of the grant before: of the same window, or of one row.
    pub(super) fn joins(&self, before: &GrantId) -> bool {
        if self.id.is_window {
            before.is_window && before.state == self.id.state
        } else {
            self.follows > 0 && self.follows == before.row_end
        }
    }
}

/// When units lapse that a server said would last so long, asked at `sent`.
pub(crate) fn cut(length: u64) -> u64 {
    if mistaken!(NotCut) { length } else { length - length / CUT }
}
