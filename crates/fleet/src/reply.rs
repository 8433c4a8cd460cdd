//! What the scripts reply.

use redis::Value;

use crate::composer::Batch;
use crate::operation::Operation;
use crate::script::ScriptKind;

/// A reply of a script. Times are microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The deadline had passed when the script ran: it did nothing.
    Late { now: u64 },
    /// What became of each entry of the batch, in their order.
    Done { now: u64, entries: Vec<EntryReply> },
}

/// What became of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryReply {
    /// Calls granted, or whether there was anything to remove. `None`: the key holds something else.
    pub(crate) outcome: Option<u64>,
    /// Until the end of its block.
    pub(crate) block: u64,
    /// Its state by each limit before the operation.
    pub(crate) doubles: Vec<i64>,
    /// Of a lease: units granted beside the calls.
    pub(crate) beside: u64,
    /// Of units that go back: those that each limit has taken.
    pub(crate) returned: Vec<u64>,
}

impl Reply {
    /// `None` for what none of the scripts replies.
    pub(crate) fn read(value: &Value, batch: &Batch) -> Option<Self> {
        let Value::Array(values) = value else { return None };
        let integers: Vec<i64> = values.iter().map(integer).collect::<Option<_>>()?;
        let (now, rest) = integers.split_first()?;
        let now = u64::try_from(*now).ok()?;
        if rest.is_empty() {
            return Some(Self::Late { now });
        }
        let clients = batch.entries().len();
        let entries = match batch.script() {
            ScriptKind::Take => read_entries(rest, 2, clients, EntryReply::read_taken)?,
            ScriptKind::State | ScriptKind::Options => {
                let words = batch.plan().words();
                let more = match batch.operation() {
                    Operation::Lease { .. } => 1,
                    Operation::GiveBack { .. } => batch.plan().limits.len(),
                    _ => 0,
                };
                let read = |integers: &[i64]| match batch.operation() {
                    Operation::GiveBack { .. } => EntryReply::read_returned(integers, words),
                    _ => EntryReply::read(integers, words),
                };
                read_entries(rest, 2 + words + more, clients, read)?
            }
        };
        Some(Self::Done { now, entries })
    }

    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Late { now } | Self::Done { now, .. } => *now,
        }
    }
}

/// So many integers for each client.
fn read_entries(
    integers: &[i64],
    width: usize,
    clients: usize,
    read: impl Fn(&[i64]) -> EntryReply,
) -> Option<Vec<EntryReply>> {
    (integers.len() == width * clients).then(|| integers.chunks_exact(width).map(read).collect())
}

fn natural(integer: &i64) -> u64 {
    u64::try_from(*integer).unwrap_or_default()
}

impl EntryReply {
    /// Of the script that takes by a single GCRA limit: calls or what stands in their place, and a debt.
    fn read_taken(integers: &[i64]) -> Self {
        let (outcome, block) = match integers[0] {
            -1 => (None, 0),
            // The rest of a block and one more, below zero.
            blocked if blocked < 0 => (Some(0), blocked.unsigned_abs() - 1),
            calls => (Some(calls.unsigned_abs()), 0),
        };
        Self { outcome, block, doubles: vec![integers[1]], beside: 0, returned: Vec::new() }
    }

    fn read(integers: &[i64], words: usize) -> Self {
        let (doubles, beside) = integers[2..].split_at(words);
        Self {
            outcome: u64::try_from(integers[0]).ok(),
            block: natural(&integers[1]),
            doubles: doubles.to_vec(),
            beside: beside.first().map_or(0, natural),
            returned: Vec::new(),
        }
    }

    /// Of units that go back, as each limit says.
    fn read_returned(integers: &[i64], words: usize) -> Self {
        let returned = integers[2 + words..].iter().map(natural).collect();
        Self { beside: 0, returned, ..Self::read(integers, words) }
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(integer) => Some(*integer),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
