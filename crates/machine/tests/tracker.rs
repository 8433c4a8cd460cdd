//! Processes that share a tracker, and are killed.

#![cfg(target_os = "linux")]

mod support;
#[path = "support/trackers.rs"]
mod trackers;

use std::fs::File;
use std::io::{Read, stdin};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use sluice_core::{ConnectionTrackerConfig, ConnectionTrackerOptions, Instance, Quota, Refusal};
use sluice_machine::SharedTracker;

use support::{
    DIRECTORY, ROLE, count_until_end, directory, files, print, read_until, spawn, wait_until_free,
};
use trackers::{CLIENT, addresses, caps, connect, count_for, fill, open_tracker};

const MAX: u64 = 8;
const MAX_PER_CLIENT: u64 = 5;

fn options() -> ConnectionTrackerOptions {
    caps(Some(MAX), Some(MAX_PER_CLIENT))
}

/// What other processes of these tests do.
#[test]
#[ignore = "a process of other tests"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = std::env::var(DIRECTORY).expect("given");
    let tracker = open_tracker(Path::new(&path), options()).expect("fit");
    let held: Vec<_> = match &*role {
        "hold" => (0..3).map(|_| connect(&tracker, CLIENT, 1).expect("room")).collect(),
        "hold two and close one" => {
            let held = [(); 2].map(|()| connect(&tracker, CLIENT, 1).expect("room"));
            assert!(tracker.tracker().close(&held[0]));
            held.into()
        }
        other => panic!("no role {other}"),
    };
    print(b'!');
    // Until it is told to end, or killed.
    let _ = stdin().read(&mut [0]);
    drop(held);
}

fn start(role: &str, path: &Path) -> Child {
    let mut child = spawn(role, path);
    read_until(&mut child, b"!");
    child
}

fn kill(mut child: Child) {
    child.kill().expect("it runs, or has ended");
    count_until_end(&mut child, b'!');
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    count_until_end(&mut child, b'!');
}

#[test]
fn processes_share_the_caps() {
    let directory = directory();
    let tracker = open_tracker(directory.path(), options()).expect("fit");
    let children = [start("hold", directory.path()), start("hold two and close one", directory.path())];
    assert_eq!((tracker.tracker().count(), count_for(&tracker, CLIENT)), (4, 4));
    assert!(connect(&tracker, CLIENT, 1).is_ok());
    assert_eq!(connect(&tracker, CLIENT, 1).err(), Some(Refusal::MaxPerClient));
    assert_eq!(fill(&tracker, addresses()).len() as u64, MAX - MAX_PER_CLIENT);
    assert_eq!(connect(&tracker, "203.0.113.9", 1).err(), Some(Refusal::Max));
    children.into_iter().for_each(end);
}

#[test]
fn what_a_process_held_is_free_when_it_ends_however_it_ends() {
    for how in [kill, end] {
        let directory = directory();
        let tracker = open_tracker(directory.path(), options()).expect("fit");
        let child = start("hold", directory.path());
        let held: Vec<_> = (0..2).map(|_| connect(&tracker, CLIENT, 1).expect("room")).collect();
        assert_eq!(connect(&tracker, CLIENT, 1).err(), Some(Refusal::MaxPerClient));
        how(child);
        // It looks before it refuses, once a millisecond at most, and has looked just now.
        let opened = (0..1_000_000).find_map(|_| connect(&tracker, CLIENT, 1).ok());
        assert!(opened.is_some(), "its places are free");
        assert_eq!((tracker.tracker().count(), count_for(&tracker, CLIENT)), (3, 3));
        assert_eq!((held.len(), tracker.shared().processes().deaths()), (2, 1));
        tracker.repair();
        assert!(!tracker.shared().processes().to_repair().is_needed());
        // The next owner of its row holds what it opens.
        let next = start("hold two and close one", directory.path());
        assert_eq!(count_for(&tracker, CLIENT), 4);
        kill(next);
    }
}

/// The clock, by which it is refused, is compared on the same way.
#[test]
fn a_refusal_by_opens_looks_after_the_others() {
    let directory = directory();
    let options = || ConnectionTrackerOptions { opens: Some(Quota::new(1, 86_400_000)), ..caps(None, None) };
    let tracker = open_tracker(directory.path(), options()).expect("fit");
    let other = open_tracker(directory.path(), options()).expect("fit");
    assert!(connect(&tracker, CLIENT, 1).is_ok());
    other.detach();
    assert_eq!(tracker.shared().attached().len(), 2, "nothing has looked");
    let started = Instant::now();
    while tracker.shared().attached().len() > 1 {
        assert!(started.elapsed() < Duration::from_secs(10), "no refusal looks");
        assert!(connect(&tracker, CLIENT, 1).is_err());
    }
}

/// Other code of the process closes the descriptor. The mapping keeps the lock, so the process counts as living.
#[test]
fn a_process_whose_descriptor_was_closed_goes_on() {
    let directory = directory();
    // A file that this process has not made has its name among the descriptors.
    drop(open_tracker(directory.path(), options()).expect("fit"));
    wait_until_free(directory.path());
    let tracker = open_tracker(directory.path(), options()).expect("fit");
    let file = files(directory.path()).remove(0);
    let mut own = std::fs::read_dir("/proc/self/fd").expect("there").filter_map(|entry| {
        let path = entry.expect("readable").path();
        let is_of_file = std::fs::read_link(&path).is_ok_and(|target| target == file);
        is_of_file.then(|| path.file_name()?.to_str()?.parse::<i32>().ok()).flatten()
    });
    let descriptor = own.next().expect("open");
    let other = open_tracker(directory.path(), options()).expect("fit");
    let held: Vec<_> = (0..3).map(|_| connect(&tracker, CLIENT, 1).expect("room")).collect();
    assert_eq!(count_for(&other, CLIENT), 3);
    let null = File::open("/dev/null").expect("there");
    // SAFETY: it is open. The tracker has to cope with what other code does to it.
    let mut taken = unsafe { OwnedFd::from_raw_fd(descriptor) };
    rustix::io::dup2(&null, &mut taken).expect("open");
    std::mem::forget(taken);
    for _ in 0..2 {
        assert_eq!(other.look_after().expect("attached"), 0, "it lives");
        assert_eq!(count_for(&other, CLIENT), 3);
        // It attaches once more.
        assert_eq!(tracker.look_after().expect("attached"), 0);
    }
    let more = connect(&tracker, CLIENT, 1).expect("room");
    assert_eq!((count_for(&tracker, CLIENT), count_for(&other, CLIENT)), (4, 4));
    held.iter().chain([&more]).for_each(|connection| assert!(tracker.tracker().close(connection)));
    assert_eq!((count_for(&other, CLIENT), other.tracker().count()), (0, 0));
}

#[test]
fn bad_options_are_refused() {
    let directory = directory();
    let opened = |options| {
        let opened = open_tracker(directory.path(), options);
        opened.map_err(|error| (error.code(), error.to_string())).map(|_| ())
    };
    let (code, text) = opened(caps(Some(1_000_001), None)).expect_err("too many");
    assert!(code == "INVALID_OPTION" && text.contains("at most 1000000"), "{text}");
    assert!(files(directory.path()).is_empty());
    let kept = open_tracker(directory.path(), options()).expect("fit");
    let (code, text) = opened(caps(Some(MAX), Some(6))).expect_err("others");
    assert!(code == "CONFIG_MISMATCH" && text.contains("maxPerClient = 5"), "{text}");
    let opens = Some(Quota { limit: 3, window_ms: 1_000, burst: None });
    assert_eq!(
        opened(ConnectionTrackerOptions { opens, ..options() }).expect_err("others").0,
        "CONFIG_MISMATCH"
    );
    drop(kept);
    wait_until_free(directory.path());
    assert!(opened(caps(Some(MAX), Some(6))).is_ok(), "replaced, as no process uses it");
}

/// A tracker without `max` has places for about 100 000 clients, and refuses a client that finds none.
#[test]
fn without_a_maximum_the_table_is_the_bound() {
    let directory = directory();
    let tracker = open_tracker(directory.path(), caps(None, Some(1))).expect("fit");
    let open = fill(&tracker, addresses().take(300_000));
    assert!((70_000..150_000).contains(&open.len()), "{}", open.len());
    assert_eq!(tracker.tracker().count(), open.len() as u64);
    open.iter().for_each(|connection| assert!(tracker.tracker().close(connection)));
    assert_eq!(tracker.tracker().count(), 0);
}

/// The option in force.
fn max_of(tracker: &SharedTracker) -> String {
    let options = tracker.tracker().config().stored();
    options.into_iter().find(|(option, _)| *option == "max").expect("an option").1
}

#[test]
fn options_are_compared_with_those_in_force() {
    let directory = directory();
    let open = |max| open_tracker(directory.path(), caps(Some(max), None));
    let first = open(8).expect("fit");
    let next =
        ConnectionTrackerConfig::try_from(caps(Some(2), None)).expect("valid").shared().expect("valid");
    Instance::reconfigure(&**first.tracker(), "sockets", next, false).expect("changeable");
    let in_force = open(2).expect("in force, beside a process");
    assert_eq!(max_of(&in_force), "2");
    assert_eq!(max_of(&open(8).expect("of creation")), "2", "beside a process");
    assert_eq!(open(7).expect_err("neither").code(), "CONFIG_MISMATCH");
    drop((first, in_force));
    wait_until_free(directory.path());
    let alone = open(2).expect("in force, alone");
    assert_eq!(
        (max_of(&alone), alone.shared().processes().deaths()),
        ("2".to_owned(), 3),
        "it is the same file"
    );
    drop(alone);
    wait_until_free(directory.path());
    let first = open(8).expect("of creation, alone");
    assert_eq!(
        (max_of(&first), first.shared().processes().deaths()),
        ("8".to_owned(), 4),
        "it is the same file"
    );
}
