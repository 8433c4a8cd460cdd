//! The script that counts connections, its calls and its replies.

use std::sync::LazyLock;

use redis::{Cmd, Script, Value};
use sluice_core::Refusal;

use super::book::{Batch, Grant, Grants};
use crate::differences;

const TEXT: &str = include_str!("../scripts/connections.lua");

static HASH: LazyLock<String> = LazyLock::new(|| Script::new(TEXT).get_hash().to_owned());

/// How many numbers of a reply belong to one client.
const WIDTH: usize = 3;

/// What a tracker is called on the server. All its keys are in one slot of a cluster: one script decides by them.
#[derive(Debug)]
pub(super) struct Names {
    /// The name of the tracker.
    pub(super) name: String,
    all: String,
    options: String,
    /// Followed by the client.
    client: String,
    /// This process.
    process: [u8; 8],
}

/// What a process says of itself with each call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Microseconds for which what it holds counts.
    pub(super) lease_us: u64,
    /// The most connections, and the most of one client.
    pub(super) caps: (Option<u64>, Option<u64>),
    /// In the server's clock, in microseconds; 0 for none.
    pub(super) deadline_us: u64,
}

/// A reply of the script. Times are microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The deadline had passed, and nothing was changed.
    Late { now: u64 },
    /// The key of all connections holds something else.
    Foreign { now: u64 },
    /// What was granted, and how many connections there are.
    Done { now: u64, all: u64, grants: Grants },
}

impl Names {
    pub(super) fn new(prefix: &str, name: &str) -> Self {
        let key = |what: &str| format!("{prefix}1c:{{c:{name}}}:{what}");
        let process = fastrand::u64(..).to_le_bytes();
        let (all, options, client) = (key("all"), key("options"), key("c:"));
        Self { name: name.to_owned(), all, options, client, process }
    }

    /// A call of the script. With `sends_text` the script itself travels, for a server that does not know it.
    pub(super) fn call(&self, batch: &Batch, terms: &Terms, sends_text: bool) -> Cmd {
        let mut call = if sends_text { redis::cmd("EVAL") } else { redis::cmd("EVALSHA") };
        call.arg(if sends_text { TEXT } else { &*HASH });
        self.write(&mut call, batch, terms);
        call
    }

    /// The keys and arguments of a call.
    fn write(&self, call: &mut Cmd, batch: &Batch, terms: &Terms) {
        call.arg(batch.entries.len() + 1).arg(&self.all);
        for entry in &batch.entries {
            call.arg([self.client.as_bytes(), entry.client.bytes()].concat());
        }
        let cap = |cap: Option<u64>| cap.map_or_else(|| "-1".to_owned(), |cap| cap.to_string());
        let Terms { lease_us, caps: (most, most_of_client), deadline_us } = *terms;
        call.arg(deadline_us).arg(&self.process[..]).arg(lease_us).arg(cap(most)).arg(cap(most_of_client));
        call.arg(batch.held).arg(batch.plain);
        for entry in &batch.entries {
            call.arg(entry.held).arg(entry.opens).arg(entry.joins);
        }
    }

    /// Says which options this process has.
    pub(super) fn say(&self, options: &str) -> Cmd {
        let mut call = redis::cmd("EVAL");
        call.arg(differences::SCRIPT).arg(1).arg(&self.options).arg(0).arg(options);
        call.arg(differences::COUNT_FOR_MS);
        call
    }
}

/// Has the server keep the script.
pub(super) fn load() -> Cmd {
    redis::cmd("SCRIPT").arg("LOAD").arg(TEXT).to_owned()
}

impl Reply {
    /// `None` for what the script does not reply to a call about so many clients.
    pub(super) fn read(value: &Value, clients: usize) -> Option<Self> {
        let integers: Vec<i64> = value.as_sequence()?.iter().map(integer).collect::<Option<_>>()?;
        let natural = |integer: &i64| u64::try_from(*integer).ok();
        match &integers[..] {
            [now] => Some(Self::Late { now: natural(now)? }),
            [now, -1] => Some(Self::Foreign { now: natural(now)? }),
            [now, all, plain, rest @ ..] if rest.len() == WIDTH * clients => {
                let entries = rest.chunks_exact(WIDTH).map(grant).collect();
                let grants = Grants { plain: natural(plain)?, entries };
                Some(Self::Done { now: natural(now)?, all: natural(all)?, grants })
            }
            _ => None,
        }
    }

    pub(super) fn now(&self) -> u64 {
        match *self {
            Self::Late { now } | Self::Foreign { now } | Self::Done { now, .. } => now,
        }
    }
}

fn grant(numbers: &[i64]) -> Grant {
    let cap = if numbers[2] == 1 { Refusal::Max } else { Refusal::MaxPerClient };
    let joined = u64::try_from(numbers[1]).unwrap_or_default();
    Grant { opened: u64::try_from(numbers[0]).ok(), joined, cap }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(integer) => Some(*integer),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
