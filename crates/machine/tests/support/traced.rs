//! A process that makes one call, an instruction at a time.
#![allow(dead_code, reason = "each test uses some of it")]

use std::fs::{self, File};
use std::io::{Read, Write, stdin};
use std::path::Path;
use std::process::Child;

use memmap2::Mmap;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::support::{files, print, read_until, spawn};

/// Instructions of one call, at most: a call that takes more does not end.
pub(crate) const MOST_STEPS: usize = 2_000_000;

/// In the process: makes the call between two signals that stop it.
pub(crate) fn between_signals(call: impl FnOnce()) {
    print(b'!');
    let _ = stdin().read(&mut [0]);
    raise(Signal::SIGUSR1).expect("it is stopped here");
    call();
    raise(Signal::SIGUSR2).expect("it is stopped here");
}

/// A process that is stopped before its call.
pub(crate) struct Traced {
    pub(crate) child: Child,
    thread: Pid,
    _cpu: OneCpu,
}

impl Traced {
    pub(crate) fn start(role: &str, path: &Path) -> Self {
        let cpu = OneCpu::stay();
        let mut child = spawn(role, path);
        read_until(&mut child, b"!");
        // The test runs in a thread of its own.
        let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).expect("it runs");
        let ids = tasks
            .map(|task| task.expect("readable").file_name().to_string_lossy().parse().expect("a number"));
        let own = i32::try_from(child.id()).expect("a number");
        let thread = ids.filter(|id| *id != own).map(Pid::from_raw).next().expect("a thread");
        ptrace::attach(thread).expect("a system that lets a process trace its children");
        let mut traced = Self { child, thread, _cpu: cpu };
        assert_eq!(traced.wait(), Signal::SIGSTOP);
        traced.child.stdin.as_mut().expect("piped").write_all(b"x").expect("it reads");
        ptrace::cont(thread, None).expect("it is stopped");
        assert_eq!(traced.wait(), Signal::SIGUSR1);
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

    /// Runs the rest of the call.
    pub(crate) fn finish(&self) {
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

/// Keeps this thread, and the processes that it starts, on the CPU where it is now, until it is dropped. A process and its
/// tracer take turns at each instruction: on two CPUs each turn would wake the other CPU, which takes longer than the rest.
struct OneCpu {
    before: CpuSet,
}

impl OneCpu {
    fn stay() -> Self {
        let before = sched_getaffinity(None).expect("its own");
        let mut here = CpuSet::new();
        here.set(sched_getcpu());
        sched_setaffinity(None, &here).expect("a CPU of its own set");
        Self { before }
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.before);
    }
}

/// The file of a directory, as it was when it was last looked at.
pub(crate) struct Watched {
    now: Mmap,
    bytes: Vec<u8>,
}

impl Watched {
    pub(crate) fn open(path: &Path) -> Self {
        let file = File::open(files(path).remove(0)).expect("own");
        // SAFETY: no file is shortened, and none changes while it is looked at: the process that changes it is stopped then.
        let now = unsafe { Mmap::map(&file) }.expect("room");
        let bytes = now.to_vec();
        Self { now, bytes }
    }

    /// Whether it has changed since the last time that this was asked. Asked at each instruction, so it copies nothing else.
    pub(crate) fn has_changed(&mut self) -> bool {
        if *self.now == *self.bytes {
            return false;
        }
        self.bytes.copy_from_slice(&self.now);
        true
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The memory of the file after each change that the call makes, the first one before it, and how many instructions the call
/// had run.
pub(crate) fn states(role: &str, path: &Path) -> Vec<(usize, Vec<u8>)> {
    let traced = Traced::start(role, path);
    let mut file = Watched::open(path);
    let mut states = vec![(0, file.bytes().to_vec())];
    for step in 1..MOST_STEPS {
        if !traced.step() {
            return states;
        }
        if file.has_changed() {
            states.push((step, file.bytes().to_vec()));
        }
    }
    panic!("{role}: it does not end");
}
