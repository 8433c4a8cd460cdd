//! A process that runs an instruction at a time, and the file that it changes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::cases::{INSERT, REPAIR, Setting};
use crate::process::{MOST_STEPS, Traced as Process};
use crate::support::files;

/// A process that is stopped before its call.
pub(crate) struct Traced {
    process: Process,
    file: Watched,
}

/// The file of a limiter, as it was when it was last read.
struct Watched {
    file: File,
    bytes: Vec<u8>,
    now: Vec<u8>,
}

impl Watched {
    fn open(path: &Path) -> Self {
        let file = File::open(files(path).remove(0)).expect("own");
        let bytes = vec![0; file.metadata().expect("there").len().try_into().expect("small")];
        let mut watched = Self { file, now: bytes.clone(), bytes };
        watched.has_changed();
        watched
    }

    /// Whether it has changed since the last time that this was asked.
    fn has_changed(&mut self) -> bool {
        self.file.read_exact_at(&mut self.now, 0).expect("readable");
        if self.now == self.bytes {
            return false;
        }
        std::mem::swap(&mut self.now, &mut self.bytes);
        true
    }
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
        &self.file.bytes
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
