//! The scripts, and the calls of them.

use std::sync::LazyLock;

use redis::{Cmd, Script};

use crate::composer::{Batch, Entry};
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
    if batch.script() == ScriptKind::Take {
        batch.plan().write_single(command);
        return write_takes(command, batch.entries());
    }
    command.arg(batch.operation().name());
    batch.plan().write_all(command);
    for entry in batch.entries() {
        entry.write(command, batch.plan().limits.len());
    }
}

/// What most calls are goes without saying: each argument costs the server about as much as an answer.
fn write_takes(command: &mut Cmd, entries: &[Entry]) {
    let width = entries.iter().map(numbers_of).max().unwrap_or_default();
    command.arg(width);
    for entry in entries {
        if width > 0 {
            command.arg(entry.calls());
        }
        if width > 1 {
            command.arg(entry.operation().cost());
        }
    }
}

/// How many numbers it takes to say what is taken for a client.
fn numbers_of(entry: &Entry) -> u8 {
    if entry.operation().cost() > 1 { 2 } else { u8::from(entry.calls() > 1) }
}

#[cfg(test)]
mod tests;
