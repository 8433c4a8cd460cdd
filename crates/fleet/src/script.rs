//! The scripts, and the calls of them.

use std::sync::LazyLock;

use redis::{Cmd, Script};

use crate::composer::Batch;
use crate::differences;

/// Which script a call runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScriptKind {
    /// Takes by a single GCRA limit.
    Take,
    /// Everything else about clients.
    State,
    /// Keeps the options of processes.
    Options,
}

struct Source {
    text: &'static str,
    hash: String,
}

impl Source {
    fn new(text: &'static str) -> Self {
        Self { text, hash: Script::new(text).get_hash().to_owned() }
    }
}

static TAKE: LazyLock<Source> = LazyLock::new(|| Source::new(include_str!("scripts/take.lua")));
static OPTIONS: LazyLock<Source> = LazyLock::new(|| Source::new(differences::SCRIPT));
static STATE: LazyLock<Source> = LazyLock::new(|| Source::new(include_str!("scripts/state.lua")));

impl ScriptKind {
    pub(crate) const ALL: [Self; 3] = [Self::Take, Self::State, Self::Options];

    fn source(self) -> &'static Source {
        match self {
            Self::Take => &TAKE,
            Self::State => &STATE,
            Self::Options => &OPTIONS,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        self.source().text
    }
}

/// The call of a batch. With `sends_text` the script itself travels, for a server that does not know it.
pub(crate) fn call_of(batch: &Batch, deadline_us: u64, sends_text: bool) -> Cmd {
    let script = batch.script();
    let source = script.source();
    let mut command = if sends_text { redis::cmd("EVAL") } else { redis::cmd("EVALSHA") };
    command.arg(if sends_text { source.text } else { &source.hash });
    write_arguments(&mut command, batch, deadline_us);
    command
}

/// The keys and arguments of a batch.
pub(crate) fn write_arguments(command: &mut Cmd, batch: &Batch, deadline_us: u64) {
    if batch.script() == ScriptKind::Options {
        let plan = batch.plan();
        command.arg(1).arg(&plan.options_key).arg(deadline_us).arg(&plan.limits_in_words);
        command.arg(differences::COUNT_FOR_MS);
        return;
    }
    command.arg(batch.entries().len());
    for entry in batch.entries() {
        command.arg(batch.plan().key_of(entry.client()));
    }
    command.arg(deadline_us);
    match batch.script() {
        ScriptKind::Take => batch.plan().write_single(command),
        ScriptKind::State | ScriptKind::Options => {
            command.arg(batch.operation().name());
            batch.plan().write_all(command);
        }
    }
    for entry in batch.entries() {
        entry.write(command);
    }
}
