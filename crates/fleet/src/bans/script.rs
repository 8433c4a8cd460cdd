//! The script that keeps bans, and its calls.

use std::sync::LazyLock;

use redis::{Cmd, Script};

use crate::differences;
use crate::server::{Place, Server, Target};

const TEXT: &str = include_str!("../scripts/bans.lua");

static HASH: LazyLock<String> = LazyLock::new(|| Script::new(TEXT).get_hash().to_owned());

/// Entries that are asked for at once.
const PAGE: usize = 512;

/// What a reputation is called on the server.
#[derive(Debug)]
pub(super) struct Names {
    bans: String,
    ends: String,
    options: String,
    /// The name of the reputation.
    pub(super) name: String,
    /// Followed by the client.
    failures: String,
    /// All databases of a server share its channels.
    pub(super) channel: String,
    /// This process; changes that it publishes are not news to it.
    pub(super) process: String,
}

/// What the script is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order<'a> {
    /// The epoch and the version; `epoch` for a server that has none.
    Hello { epoch: &'a str },
    /// Bans for so many ms, -1 without end; `rest` is the value behind the end. `replaced`: within how many ms the ban ends
    /// that is replaced by a shorter one too.
    Ban { target: &'a str, remaining: i64, rest: &'a str, replaced: i64 },
    /// Lifts a ban that ends within so many ms.
    Unban { target: &'a str, within: i64 },
    /// Counts failures: how many, how many ban, for how many ms each counts.
    Fail { client: &'a str, count: u64, limit: (u64, u64) },
    /// Forgets failures.
    Forgive { client: &'a str },
}

/// Any ban, as [`Order::Ban`] and [`Order::Unban`] say when it ends.
pub(super) const ANY: i64 = -1;
/// None.
pub(super) const NONE: i64 = -2;

impl Names {
    pub(super) fn new(prefix: &str, name: &str, server: &Server) -> Self {
        // All keys of a reputation are in one slot of a cluster, also where its name begins with a brace.
        let key = |what: &str| format!("{prefix}1b:{{b:{name}}}:{what}");
        let database = match &server.0 {
            Target::Place(Place::Node(node)) => node.access.database,
            Target::Place(Place::Master(master)) => master.access.database,
            Target::Cluster(_) => 0,
        };
        Self {
            bans: key("bans"),
            ends: key("ends"),
            options: key("options"),
            name: name.to_owned(),
            failures: key("failures:"),
            channel: key(&format!("changes:{database}")),
            process: format!("{:016x}", fastrand::u64(..)),
        }
    }

    /// A call of the script. With `sends_text` the script itself travels, for a server that does not know it.
    pub(super) fn call(&self, order: &Order<'_>, sends_text: bool) -> Cmd {
        let target = match *order {
            Order::Hello { .. } => "",
            Order::Ban { target, .. } | Order::Unban { target, .. } => target,
            Order::Fail { client, .. } | Order::Forgive { client } => client,
        };
        let mut call = if sends_text { redis::cmd("EVAL") } else { redis::cmd("EVALSHA") };
        call.arg(if sends_text { TEXT } else { &*HASH }).arg(3).arg(&self.bans).arg(&self.ends);
        call.arg(format!("{}{target}", self.failures));
        call.arg(order.name()).arg(&self.channel).arg(&self.process).arg(target);
        match *order {
            Order::Hello { epoch } => call.arg(epoch),
            Order::Ban { remaining, rest, replaced, .. } => call.arg(remaining).arg(rest).arg(replaced),
            Order::Unban { within, .. } => call.arg(within),
            Order::Fail { count, limit: (most, counts_for), .. } => call.arg(count).arg(most).arg(counts_for),
            Order::Forgive { .. } => &mut call,
        };
        call
    }

    /// Says which options this process has.
    pub(super) fn say(&self, options: &str) -> Cmd {
        let mut call = redis::cmd("EVAL");
        call.arg(differences::SCRIPT).arg(1).arg(&self.options).arg(0).arg(options);
        call.arg(differences::COUNT_FOR_MS);
        call
    }

    /// Asks for bans, from a place that the answer before has told.
    pub(super) fn page(&self, from: u64) -> Cmd {
        redis::cmd("HSCAN").arg(&self.bans).arg(from).arg("COUNT").arg(PAGE).to_owned()
    }
}

impl Order<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Ban { .. } => "ban",
            Self::Unban { .. } => "unban",
            Self::Fail { .. } => "fail",
            Self::Forgive { .. } => "forgive",
        }
    }
}

/// Has the server keep the script.
pub(super) fn load() -> Cmd {
    redis::cmd("SCRIPT").arg("LOAD").arg(TEXT).to_owned()
}
