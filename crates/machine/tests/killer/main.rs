//! Every state that a killed process can leave. A process makes one call, an instruction at a time; after each change of the
//! shared memory that is kept as it is, which is all that a kill at this instruction would leave. Other processes then have
//! to find each of these states sound. They also go on while the process is stopped there, and is killed or goes on itself.
//!
//!     npm run test:kill
//!     SLUICE_TEST_CALL='charge, 3 limits' npm run test:kill
//!     SLUICE_TEST_STATES=all npm run test:kill

#![cfg(target_os = "linux")]

mod cases;
mod checks;
#[path = "../support/traced.rs"]
mod process;
#[path = "../support/mod.rs"]
mod support;
mod traced;

use std::fs;
use std::io::{Write, stderr};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use sluice_core::LocalHandle;

use cases::{INSERT, LIMITS, Setting};
use checks::{block_others, check, check_blocks, check_repair, check_whole_again, fill, revive, use_up};
use process::between_signals;
use support::{DIRECTORY, ROLE, directory, files};
use traced::Traced;

/// Of each call, at how many of its changes a process is stopped while others go on.
const SAMPLE: usize = 4;

/// The process that makes the call, between two signals that stop it.
#[test]
#[ignore = "a process of the killer"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = std::env::var(DIRECTORY).expect("given");
    let setting = Setting::named(&role);
    let limiter = setting.open(Path::new(&path));
    let mut handle = LocalHandle::new(Arc::clone(limiter.limiter()));
    between_signals(|| (setting.case.act)(&limiter, &mut handle, setting.limits));
}

/// The memory of the file after each change that the call makes, the first one before it.
fn states(setting: Setting, path: &Path) -> Vec<Vec<u8>> {
    let mut traced = Traced::start(setting, path);
    let mut states = vec![traced.state().to_vec()];
    while traced.step_to_change().is_some() {
        states.push(traced.state().to_vec());
    }
    states
}

#[test]
#[ignore = "takes a minute or more: npm run test:kill"]
fn every_state_that_a_killed_process_leaves_is_sound() {
    for setting in Setting::all() {
        let (name, directory) = (setting.name(), directory());
        let limiter = setting.open(directory.path());
        let slots = fill(&limiter);
        (setting.case.prepare)(&limiter);
        let states = states(setting, directory.path());
        let file = files(directory.path()).remove(0);
        let file_name = file.file_name().expect("a name").to_string_lossy();
        for (place, state) in states.iter().enumerate() {
            let sound = std::panic::catch_unwind(|| check(setting, state, &file_name, slots));
            assert!(sound.is_ok(), "{name}: unsound after {place} of {} changes", states.len() - 1);
        }
        let _ = writeln!(stderr(), "{name}: {} states are sound", states.len());
        // A call that changes nothing in the file would test nothing.
        assert!(states.len() > 1, "{name}: no change");
    }
}

/// A process is stopped right after a change, and others use up the client's quota. `is_killed`: it does not go on. False
/// where the call makes fewer changes.
fn stop(setting: Setting, change: usize, is_killed: bool) -> bool {
    let directory = directory();
    // This process published what the stopped one replaces, and lives on.
    let limiter = setting.open(directory.path());
    let slots = fill(&limiter);
    (setting.case.prepare)(&limiter);
    let mut traced = Traced::start(setting, directory.path());
    if !(0..change).all(|_| traced.step_to_change().is_some()) {
        return false;
    }
    let mut admitted = use_up(&limiter);
    if !is_killed {
        traced.finish();
        admitted += use_up(&limiter);
    }
    drop(traced);
    limiter.look_after().expect("attached");
    admitted += use_up(&limiter);
    let (least, most) = (setting.case.left.0, setting.case.most);
    assert!((least..=most).contains(&admitted), "{admitted} units were left, not {least} to {most}");
    assert_eq!(limiter.shared().attached().len(), 1, "the dead are found");
    assert_eq!(limiter.limiter().states_in_flight(), Ok(0), "a record is lost while its process lives");
    check_repair(&limiter);
    check_whole_again(setting, &limiter, slots);
    true
}

/// Where to stop: all changes of a call, or some of them in equal distances.
fn sample(changes: usize) -> Vec<usize> {
    let is_all = std::env::var("SLUICE_TEST_STATES").is_ok_and(|wanted| wanted == "all");
    let count = if is_all { changes } else { changes.min(SAMPLE) };
    (1..=count).map(|place| place * changes / count).collect()
}

#[test]
#[ignore = "takes a minute or more: npm run test:kill"]
fn every_process_goes_on_beside_one_that_is_stopped() {
    go_on_beside_stopped(LIMITS[0]);
}

#[test]
#[ignore = "takes a minute or more: npm run test:kill"]
fn every_process_goes_on_beside_one_that_is_stopped_in_a_call_of_several_limits() {
    go_on_beside_stopped(LIMITS[1]);
}

fn go_on_beside_stopped(limits: usize) {
    for setting in Setting::all().into_iter().filter(|setting| setting.limits == limits) {
        let name = setting.name();
        let changes = {
            let directory = directory();
            let limiter = setting.open(directory.path());
            fill(&limiter);
            (setting.case.prepare)(&limiter);
            states(setting, directory.path()).len() - 1
        };
        let places = sample(changes);
        for change in &places {
            for is_killed in [true, false] {
                let sound = std::panic::catch_unwind(|| stop(setting, *change, is_killed));
                let what = if is_killed { "killed" } else { "let go" };
                assert!(
                    matches!(sound, Ok(true)),
                    "{name}: unsound where it is {what} after {change} changes"
                );
            }
        }
        let _ =
            writeln!(stderr(), "{name}: sound beside one stopped at {} of {changes} changes", places.len());
    }
}

/// How many instructions the call has run at each change.
fn steps_to_changes(setting: Setting, path: &Path) -> Vec<usize> {
    let mut traced = Traced::start(setting, path);
    let steps = std::iter::from_fn(|| traced.step_to_change());
    steps
        .scan(0, |all, steps| {
            *all += steps;
            Some(*all)
        })
        .collect()
}

/// A process is stopped shortly before it changes something to evict an expired client. Every client is blocked then, and
/// the process goes on to its change and is killed there.
#[test]
#[ignore = "takes a minute or more: npm run test:kill"]
fn every_block_beside_an_eviction_that_is_killed_stands() {
    for setting in LIMITS.map(|limits| Setting { limits, ..Setting::named(&format!("{INSERT}, 1 limit")) }) {
        let (name, initial) = {
            let directory = directory();
            (setting.case.prepare)(&setting.open(directory.path()));
            let file = files(directory.path()).remove(0);
            (
                file.file_name().expect("a name").to_string_lossy().into_owned(),
                fs::read(&file).expect("readable"),
            )
        };
        let (directory, _limiter) = revive(setting, &initial, &name);
        let changes = steps_to_changes(setting, directory.path());
        for (change, steps) in changes.iter().enumerate() {
            for before in [1, 8, 25, 60, 120, 250, 500].into_iter().filter(|before| before < steps) {
                let (directory, limiter) = revive(setting, &initial, &name);
                let mut traced = Traced::start(setting, directory.path());
                assert!((0..steps - before).all(|_| traced.step()), "as many as before");
                let blocked = block_others(&limiter);
                traced.look_away();
                traced.step_to_change();
                drop(traced);
                let check = AssertUnwindSafe(|| check_blocks(&limiter, &blocked));
                let sound = std::panic::catch_unwind(check);
                assert!(
                    sound.is_ok(),
                    "blocked {before} instructions before change {change}, which was the last one"
                );
            }
        }
    }
}
