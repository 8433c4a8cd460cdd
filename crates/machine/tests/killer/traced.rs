//! A process that runs an instruction at a time, and the file that it changes.

use std::path::Path;

use crate::cases::{INSERT, REPAIR, Setting};
use crate::process::{MOST_STEPS, Traced as Process, Watched};

/// A process that is stopped before its call.
pub(crate) struct Traced {
    process: Process,
    file: Watched,
}

impl Traced {
    pub(crate) fn start(setting: Setting, path: &Path) -> Self {
        let mut traced = Self { process: Process::start(&setting.name(), path), file: Watched::open(path) };
        if setting.case.name == REPAIR {
            die_in_an_insert(setting, path);
        }
        traced.file.has_changed();
        traced
    }

    /// Runs one instruction. False when the call has ended.
    pub(crate) fn step(&self) -> bool {
        self.process.step()
    }

    /// Runs until it changes the file; after how many instructions. `None` when the call has ended.
    pub(crate) fn step_to_change(&mut self) -> Option<usize> {
        for steps in 1..MOST_STEPS {
            if !self.step() {
                return None;
            }
            if self.file.has_changed() {
                return Some(steps);
            }
        }
        panic!("it does not end");
    }

    /// The file after the last change.
    pub(crate) fn state(&self) -> &[u8] {
        self.file.bytes()
    }

    /// What others have changed meanwhile is not its change.
    pub(crate) fn look_away(&mut self) {
        self.file.has_changed();
    }

    /// Runs the rest of the call.
    pub(crate) fn finish(&self) {
        self.process.finish();
    }
}

/// Kills a process after it made two changes to insert a key.
fn die_in_an_insert(setting: Setting, path: &Path) {
    let insert = Setting::named(&setting.name().replace(REPAIR, INSERT));
    let mut traced = Traced::start(insert, path);
    for _ in 0..2 {
        traced.step_to_change().expect("it changes more than that");
    }
}
