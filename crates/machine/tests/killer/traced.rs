//! A process that runs an instruction at a time, and the file that it changes.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Child;

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::cases::{INSERT, REPAIR, Setting};
use crate::support::{files, read_until, spawn};

/// Instructions of one call, at most: a call that takes more does not end.
const MOST_STEPS: usize = 2_000_000;

/// A process that is stopped before its call.
pub(crate) struct Traced {
    child: Child,
    thread: Pid,
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
        let mut child = spawn(&setting.name(), path);
        read_until(&mut child, b"!");
        // The test runs in a thread of its own.
        let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).expect("it runs");
        let ids = tasks
            .map(|task| task.expect("readable").file_name().to_string_lossy().parse().expect("a number"));
        let own = i32::try_from(child.id()).expect("a number");
        let thread = ids.filter(|id| *id != own).map(Pid::from_raw).next().expect("a thread");
        ptrace::attach(thread).expect("a system that lets a process trace its children");
        let mut traced = Self { child, thread, file: Watched::open(path) };
        assert_eq!(traced.wait(), Signal::SIGSTOP);
        traced.child.stdin.as_mut().expect("piped").write_all(b"x").expect("it reads");
        ptrace::cont(thread, None).expect("it is stopped");
        assert_eq!(traced.wait(), Signal::SIGUSR1);
        if setting.case.name == REPAIR {
            die_in_an_insert(setting, path);
        }
        traced.file.has_changed();
        traced
    }

    /// Why it stopped.
    fn wait(&self) -> Signal {
        match waitpid(self.thread, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Stopped(_, signal)) => signal,
            other => panic!("it did not stop: {other:?}"),
        }
    }

    /// Runs one instruction. False when the call has ended.
    pub(crate) fn step(&self) -> bool {
        ptrace::step(self.thread, None).expect("it is stopped");
        match self.wait() {
            Signal::SIGTRAP => true,
            Signal::SIGUSR2 => false,
            other => panic!("stopped by {other}"),
        }
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

    /// Runs to the end of the call.
    pub(crate) fn go_on(&self) {
        ptrace::cont(self.thread, None).expect("it is stopped");
        assert_eq!(self.wait(), Signal::SIGUSR2);
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = waitpid(self.thread, Some(WaitPidFlag::__WALL));
        let _ = self.child.wait();
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
