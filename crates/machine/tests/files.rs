//! What is refused, what is replaced, and how a file comes to be.

#![cfg(target_os = "linux")]

mod support;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::sync::{Arc, Barrier};
use std::thread;

use sluice_core::{AlgorithmKind, LocalHandle, RateLimiterOptions};
use sluice_machine::{Directory, SharedLimiter};

use support::{config, directory, files, open, open_with, options, refusal, three_limits, try_consume};

#[test]
fn the_same_options_attach() {
    let directory = directory();
    let [first, second] = [5, 5].map(|limit| open(directory.path(), limit).expect("fit"));
    assert!(try_consume(&first, "client", 3) && try_consume(&second, "client", 2));
    assert!(!try_consume(&first, "client", 1) && !try_consume(&second, "client", 1));
    assert_eq!((files(directory.path()).len(), first.shared().attached().len()), (1, 2));
    let stats = second.limiter().stats(second.shared().now()).expect("open");
    assert_eq!((stats.allowed, stats.refused, stats.size), (2, 2, 1), "sums over all of them");
}

#[test]
fn state_outlives_the_processes() {
    let directory = directory();
    assert!(try_consume(&open(directory.path(), 5).expect("fit"), "client", 5));
    assert!(!try_consume(&open(directory.path(), 5).expect("fit"), "client", 1));
}

#[test]
fn other_options_are_an_error_while_a_process_is_attached() {
    let directory = directory();
    let first = open(directory.path(), 5).expect("fit");
    assert!(try_consume(&first, "client", 5));
    let (code, text) = refusal(open(directory.path(), 6));
    assert_eq!(code, "CONFIG_MISMATCH");
    assert!(text.contains("was created with limit = 5") && text.contains("given: 6"), "{text}");
    assert!(text.contains(files(directory.path())[0].to_str().expect("a name")), "{text}");
    drop(first);
    // Nothing uses it any more: the new options begin anew.
    let second = open(directory.path(), 6).expect("replaced");
    assert!(try_consume(&second, "client", 6));
    assert_eq!(files(directory.path()).len(), 1);
}

#[test]
fn processes_that_start_at_once_make_one_file() {
    for limit in 1..=20 {
        let directory = directory();
        // Of other options, to be replaced by the first one.
        drop(open(directory.path(), 1_000).expect("fit"));
        let start = Barrier::new(6);
        let attach = || {
            start.wait();
            open(directory.path(), limit).expect("fit")
        };
        let limiters: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(attach)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let admitted = limiters.iter().filter(|limiter| try_consume(limiter, "client", limit)).count();
        assert_eq!((admitted, files(directory.path()).len()), (1, 1));
        assert_eq!(limiters[0].shared().attached().len(), 6);
    }
}

#[test]
fn the_sixty_fifth_process_is_refused() {
    let directory = directory();
    let limiters: Vec<_> = (0..64).map(|_| open(directory.path(), 5).expect("a row")).collect();
    let (code, text) = refusal(open(directory.path(), 5));
    assert_eq!(code, "SCOPE_UNAVAILABLE");
    assert!(text.contains("64 processes are attached"), "{text}");
    drop(limiters);
    assert!(open(directory.path(), 5).is_ok());
}

/// A process that looks whether it is alone has all rows for a moment.
#[test]
fn processes_that_come_and_go_do_not_refuse_each_other() {
    let directory = directory();
    let come_and_go = || (0..2_000).for_each(|_| open(directory.path(), 5).expect("a row").detach());
    thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(come_and_go))));
}

fn limit_of(limiter: &SharedLimiter) -> u64 {
    limiter.limiter().config().options().limits[0].quota.limit
}

#[test]
fn options_are_compared_with_those_in_force() {
    let directory = directory();
    let reconfigured = || {
        let first = open(directory.path(), 10).expect("fit");
        let now = || first.shared().now();
        first.limiter().reconfigure(options(100, 1_000), now).expect("changeable");
        assert!(try_consume(&first, "client", 4));
        first
    };
    let first = reconfigured();
    let in_force = open(directory.path(), 100).expect("in force, beside a process");
    assert!(!try_consume(&in_force, "client", 97) && try_consume(&in_force, "client", 96));
    assert_eq!(limit_of(&open(directory.path(), 10).expect("of creation")), 100, "beside a process");
    assert_eq!(refusal(open(directory.path(), 11)).0, "CONFIG_MISMATCH");
    drop((first, in_force));
    let alone = open(directory.path(), 100).expect("in force, alone");
    assert!(!try_consume(&alone, "client", 1), "its counts stay");
    drop(alone);
    let first = open(directory.path(), 10).expect("of creation, alone");
    assert_eq!((limit_of(&first), try_consume(&first, "client", 1)), (10, false), "its counts stay");
    assert!(try_consume(&first, "other", 10) && !try_consume(&first, "other", 1));
}

#[test]
fn limits_that_differ_are_an_error_while_a_process_is_attached() {
    let directory = directory();
    let first = open_with(directory.path(), three_limits(5, 100)).expect("fit");
    let same = open_with(directory.path(), three_limits(5, 100)).expect("the same");
    assert!(try_consume(&first, "client", 3) && try_consume(&same, "client", 2));
    assert!(!try_consume(&same, "client", 1));
    for other in [three_limits(6, 100), options(5, 100)] {
        let (code, text) = refusal(open_with(directory.path(), other));
        assert!(code == "CONFIG_MISMATCH" && text.contains("limits"), "{text}");
    }
    drop((first, same));
    assert!(open_with(directory.path(), options(5, 100)).is_ok(), "replaced, with another layout");
}

#[test]
fn a_directory_must_be_of_this_user_alone_and_in_memory() {
    let directory = directory();
    let inside = |name| directory.path().join(name);
    let opened = |path| Directory::open(path).map_err(|error| (error.code(), error.to_string()));
    assert!(opened(inside("made")).is_ok(), "made where it is missing");
    let mode = fs::metadata(inside("made")).expect("made").permissions().mode();
    assert_eq!(mode & 0o077, 0);

    fs::set_permissions(inside("made"), Permissions::from_mode(0o777)).expect("own");
    let (code, text) = opened(inside("made")).expect_err("others may write it");
    assert!(code == "SCOPE_UNAVAILABLE" && text.contains("other users may write it (mode 777)"), "{text}");

    symlink(directory.path(), inside("link")).expect("room");
    File::create(inside("file")).expect("room");
    for name in ["link", "file", "missing/too"] {
        assert_eq!(opened(inside(name)).expect_err(name).0, "SCOPE_UNAVAILABLE");
    }
    // Where programs are built is no memory, nor is /proc.
    let (_, text) = opened("/proc/self".into()).expect_err("not in memory");
    assert!(text.contains("/proc/self"), "{text}");
}

#[test]
fn foreign_files_are_refused_and_stay() {
    let directory = directory();
    drop(open(directory.path(), 5).expect("fit"));
    let path = files(directory.path()).remove(0);
    let sound = fs::read(&path).expect("readable");
    let bytes = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = sound.clone();
        change(&mut bytes);
        bytes
    };
    let cases = [
        (bytes(&|bytes| bytes.clear()), "CORRUPT_FILE", "shorter than a header"),
        (bytes(&|bytes| bytes[0] = b'x'), "CORRUPT_FILE", "does not begin as one"),
        (
            bytes(&|bytes| bytes[8] = 9),
            "UNSUPPORTED_VERSION",
            "has version 9 of its layout; accepted: version 2",
        ),
        (bytes(&|bytes| bytes[8] = 0), "UNSUPPORTED_VERSION", "has version 0"),
        (bytes(&|bytes| bytes[30] ^= 1), "CORRUPT_FILE", "its header was changed"),
        (bytes(&|bytes| bytes.truncate(bytes.len() - 4_096)), "CORRUPT_FILE", "cut short or extended"),
        (bytes(&|bytes| bytes.push(0)), "CORRUPT_FILE", "cut short or extended"),
    ];
    for (content, expected, reason) in cases {
        fs::write(&path, &content).expect("room");
        let (code, text) = refusal(open(directory.path(), 5));
        assert_eq!(code, expected, "{text}");
        assert!(text.contains(reason) && text.contains(path.to_str().expect("a name")), "{text}");
        assert_eq!(fs::read(&path).expect("readable"), content, "not touched");
    }
    fs::write(&path, &sound).expect("room");
    assert!(open(directory.path(), 5).is_ok());

    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("own");
    assert_eq!(refusal(open(directory.path(), 5)).0, "SCOPE_UNAVAILABLE");
    fs::remove_file(&path).expect("own");
    symlink("/dev/null", &path).expect("room");
    assert_eq!(refusal(open(directory.path(), 5)).0, "CORRUPT_FILE");
    fs::remove_file(&path).expect("own");
    fs::create_dir(&path).expect("room");
    assert_eq!(refusal(open(directory.path(), 5)).0, "CORRUPT_FILE");
}

#[test]
fn a_file_of_another_instance_is_not_taken_for_this_one() {
    let directory = directory();
    let other = Directory::open(directory.path()).expect("fit");
    let kept = SharedLimiter::open(&other, "other", config(5)).expect("fit");
    let path = files(directory.path()).remove(0);
    drop(open(directory.path(), 5).expect("fit"));
    let own = files(directory.path()).into_iter().find(|file| *file != path).expect("two names, two files");
    fs::remove_file(&own).expect("own");
    fs::hard_link(&path, &own).expect("room");
    let (code, text) = refusal(open(directory.path(), 5));
    assert!(code == "CORRUPT_FILE" && text.contains("it holds RateLimiter \"other\""), "{text}");
    drop(kept);
}

#[test]
fn a_file_of_an_earlier_boot_is_replaced() {
    let directory = directory();
    assert!(try_consume(&open(directory.path(), 5).expect("fit"), "client", 5));
    let path = files(directory.path()).remove(0);
    let file = File::options().read(true).write(true).open(&path).expect("own");
    // Another boot id, with the checksum of the header that says so.
    let mut header = vec![0; 4_096];
    file.read_exact_at(&mut header, 0).expect("readable");
    header[32] ^= 1;
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&header[..12]);
    checksum.update(&header[16..]);
    header[12..16].copy_from_slice(&checksum.finalize().to_ne_bytes());
    file.write_all_at(&header, 0).expect("room");
    assert!(try_consume(&open(directory.path(), 5).expect("replaced"), "client", 5));
}

#[test]
fn what_has_no_room_is_an_error_at_once() {
    let directory = directory();
    let huge = options(5, 1 << 32).try_into().expect("valid");
    let opened = SharedLimiter::open(&Directory::open(directory.path()).expect("fit"), "api", huge);
    assert_eq!(refusal(opened).0, "SCOPE_UNAVAILABLE");
    assert!(files(directory.path()).is_empty());
}

#[test]
fn a_file_that_is_removed_under_a_process_is_noticed() {
    let directory = directory();
    let limiter = open(directory.path(), 5).expect("fit");
    assert_eq!(limiter.look_after(), Ok(0));
    fs::remove_file(files(directory.path()).remove(0)).expect("own");
    let noticed = || limiter.look_after().map_err(|error| (error.code(), error.to_string()));
    let (code, text) = noticed().expect_err("removed");
    assert!(code == "SCOPE_UNAVAILABLE" && text.contains("it was removed"), "{text}");
    let other = open(directory.path(), 5).expect("another file");
    let (_, text) = noticed().expect_err("replaced");
    assert!(text.contains("it was replaced"), "{text}");
    assert_eq!(other.look_after(), Ok(0));
    // Each goes on with its own file.
    assert!(try_consume(&limiter, "client", 5) && try_consume(&other, "client", 5));
}

/// Another access to a page that was taken from the mapping would end the process where there is no room for a new one.
#[test]
fn pages_stay_as_long_as_they_are_mapped() {
    let directory = directory();
    let limiter = open(directory.path(), 5).expect("fit");
    assert!(try_consume(&limiter, "client", 5));
    let file = File::open(files(directory.path()).remove(0)).expect("own");
    let blocks = || file.metadata().expect("open").blocks();
    let reserved = blocks();
    assert!(reserved > 0);
    limiter.detach();
    assert!(files(directory.path()).is_empty());
    assert_eq!(blocks(), reserved);
    assert!(!limiter.is_closed_everywhere(), "what it reads is there");
}

/// Bytes of every kind: by `kind` all of them random, or words of ones, values with random words, and zeros.
fn hostile_bytes(kind: u64, words: u64, random: &mut impl FnMut() -> u64) -> Vec<u8> {
    let words = (0..words).flat_map(|_| {
        let word = match (kind % 4, random() % 4) {
            (0, _) | (_, 0) => random(),
            (1, _) => u64::MAX,
            (_, 1) => random() | 1 << 63,
            _ => 0,
        };
        word.to_ne_bytes()
    });
    words.collect()
}

/// The header is sound, and what follows is anything: each call ends.
#[test]
fn hostile_state_crashes_nothing() {
    let directory = directory();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        for (shift, is_left) in [(13, true), (7, false), (17, true)] {
            state ^= if is_left { state << shift } else { state >> shift };
        }
        state
    };
    for round in 0..48 {
        let by =
            |algorithm| RateLimiterOptions { max_keys: 300, ..RateLimiterOptions::by(algorithm, 5, 1_000) };
        let options = match round % 4 {
            0 => by(AlgorithmKind::Gcra),
            1 => by(AlgorithmKind::FixedWindow),
            2 => by(AlgorithmKind::SlidingWindow),
            _ => three_limits(5, 300),
        };
        let open = || open_with(directory.path(), options.clone());
        drop(open().expect("fit"));
        let path = files(directory.path()).remove(0);
        let file = File::options().write(true).open(&path).expect("own");
        let words = (fs::metadata(&path).expect("there").len() - 4_096) / 8;
        file.write_all_at(&hostile_bytes(round / 4, words, &mut random), 4_096).expect("room");
        let limiter = open().expect("its header is sound");
        call_everything(&limiter);
        drop(limiter);
        fs::remove_file(&path).expect("own");
    }
}

fn call_everything(limiter: &SharedLimiter) {
    let (core, now) = (limiter.limiter(), limiter.shared().now());
    let mut handle = LocalHandle::new(Arc::clone(core));
    for client in 0..300 {
        let key = support::key(limiter, &client.to_string());
        // By the config in force, which may be any; a cell that holds none leaves that of creation.
        let decisions = [core.consume(key, 1, now), core.peek(key, now), handle.consume(key, 1, now)];
        let receipt = decisions[0].as_ref().ok().map(|decision| decision.receipt);
        let _ = receipt.map(|receipt| core.undo(key, 1, &receipt, now));
        let _ = (core.refund(key, 1, now), core.penalize(key, 1, now), core.block(key, 1_000, now));
        let _ = (handle.try_consume(key, 1, now), core.reset(key, now), core.try_consume(key, 5, now));
    }
    limiter.repair();
    let _ = (limiter.look_after(), core.stats(now), limiter.shared().attached());
    let _ = core.reconfigure(core.config().options().clone(), || now);
    let _ = core.clear(now);
}
