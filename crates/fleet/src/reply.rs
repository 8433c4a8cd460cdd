//! What the scripts reply.

use redis::Value;

use crate::composer::Batch;
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
        let words = match batch.script() {
            ScriptKind::Take => 1,
            ScriptKind::State => batch.plan().words(),
        };
        let width = 2 + words;
        if rest.len() != width * batch.entries().len() {
            return None;
        }
        let entries = rest.chunks_exact(width).map(EntryReply::read).collect();
        Some(Self::Done { now, entries })
    }

    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Late { now } | Self::Done { now, .. } => *now,
        }
    }
}

impl EntryReply {
    fn read(integers: &[i64]) -> Self {
        Self {
            outcome: u64::try_from(integers[0]).ok(),
            block: u64::try_from(integers[1]).unwrap_or_default(),
            doubles: integers[2..].to_vec(),
        }
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
