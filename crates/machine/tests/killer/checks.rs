//! What other processes must find where a process was killed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use sluice_core::Overflow;
use sluice_core::Quota;
use sluice_core::runtime::key_hash::KeyHash;
use sluice_machine::SharedLimiter;

use crate::cases::{HOUR, LIMIT, MANY, MORE, RECONFIGURATION, SHORTER, Setting};
use crate::support::{MONTH_MS, directory, key, try_consume};

/// More than a client gets.
const TRIES: usize = 20;

/// How many new keys find a slot in an empty table.
pub(crate) fn fill(limiter: &SharedLimiter) -> usize {
    limiter.limiter().clear(limiter.shared().now()).expect("open");
    let filled = (0..MANY).filter(|new| try_consume(limiter, &format!("new {new}"), 1)).count();
    limiter.limiter().clear(limiter.shared().now()).expect("open");
    filled
}

/// Asks for the client until it has nothing left; how many units it got.
pub(crate) fn use_up(limiter: &SharedLimiter) -> u64 {
    (0..TRIES).filter(|_| try_consume(limiter, "client", 1)).count() as u64
}

/// The state in a file of its own, in a directory that goes with it.
pub(crate) fn revive(setting: Setting, state: &[u8], file_name: &str) -> (tempfile::TempDir, SharedLimiter) {
    let directory = directory();
    let path = directory.path().join(file_name);
    fs::write(&path, state).expect("room");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("own");
    let limiter = setting.open(directory.path());
    (directory, limiter)
}

/// Blocks every client that finds a slot; which of them.
pub(crate) fn block_others(limiter: &SharedLimiter) -> Vec<KeyHash> {
    let others = (0..70).map(|other| key(limiter, &format!("other {other}")));
    let block =
        |other: &KeyHash| limiter.limiter().block(*other, HOUR, limiter.shared().now()).expect("open");
    others.filter(block).collect()
}

/// After a repair: a block that was acknowledged stands.
pub(crate) fn check_blocks(limiter: &SharedLimiter, blocked: &[KeyHash]) {
    let (core, now) = (limiter.limiter(), || limiter.shared().now());
    core.repair(now).expect("open");
    assert!(
        blocked.iter().all(|other| !core.try_consume(*other, 1, now()).expect("open")),
        "a block is lost"
    );
}

/// What a process finds where another one was killed. No process of the state has a lock, so each is dead.
pub(crate) fn check(setting: Setting, state: &[u8], file_name: &str, slots: usize) {
    let (_directory, limiter) = revive(setting, state, file_name);
    check_blocks(&limiter, &block_others(&limiter));
    let (_directory, limiter) = revive(setting, state, file_name);
    assert_eq!(limiter.shared().attached().len(), 1);
    let (least, most) = setting.case.left;
    let admitted = use_up(&limiter);
    assert!((least..=most).contains(&admitted), "{admitted} units are left, not {least} to {most}");
    check_repair(&limiter);
    check_options(&limiter);
    check_other_limits(setting, &limiter);
    check_whole_again(setting, &limiter, slots);
}

/// One repair mends everything.
pub(crate) fn check_repair(limiter: &SharedLimiter) {
    let (core, now) = (limiter.limiter(), || limiter.shared().now());
    core.repair(now).expect("open");
    let again = core.repair(now).expect("open");
    assert_eq!((again.claims, again.blocks, again.config), (0, 0, false), "one repair mends everything");
}

/// The options are those before or those after, and no client owes more than they can leave.
fn check_options(limiter: &SharedLimiter) {
    let core = limiter.limiter();
    let quota = core.config().options().limits[0].quota;
    let known = [(LIMIT, MONTH_MS), SHORTER[0], SHORTER[1]];
    assert!(known.contains(&(quota.limit, quota.window_ms)), "{quota} is in force, which is half a config");
    for other in 0..10 {
        let other = key(limiter, &format!("other {other}"));
        let decision = core.peek(other, limiter.shared().now()).expect("open");
        let most = quota.window_ms * 1_000_000 / quota.limit;
        assert!(decision.retry_after.is_some_and(|wait| wait <= most), "{decision:?} by {quota}");
    }
}

/// All limits were charged together: where the first admits anything again, the second admits what it has more.
fn check_other_limits(setting: Setting, limiter: &SharedLimiter) {
    if setting.limits == 1 || setting.case.name == RECONFIGURATION {
        return;
    }
    let (core, now) = (limiter.limiter(), || limiter.shared().now());
    let mut options = setting.options();
    options.limits[0].quota = Quota::new(1_000, 1);
    core.reconfigure(options, now).expect("changeable");
    // What it owed drains within a window.
    let later = now() + 10_000_000;
    let client = key(limiter, "client");
    let more = (0..TRIES).filter(|_| core.try_consume(client, 1, later).expect("open")).count() as u64;
    // At the latest by the repair.
    let is_blocked = setting.case.name.starts_with("block");
    assert!(more == MORE || more == 0 && is_blocked, "the second limit admits {more} units more");
}

/// Nothing is lost: as many keys find a slot as before, and each is charged in one, over and over.
pub(crate) fn check_whole_again(setting: Setting, limiter: &SharedLimiter, slots: usize) {
    let (core, now) = (limiter.limiter(), || limiter.shared().now());
    core.reconfigure(setting.options(), now).expect("changeable");
    let filled = fill(limiter);
    assert!(setting.case.overflow == Overflow::Evict || filled == slots, "{filled} slots of {slots}");
    let stats = core.stats(now()).expect("open");
    assert_eq!((stats.size, stats.blocked), (0, 0));
    for unit in 0..=LIMIT {
        for client in 0..10 {
            assert_eq!(try_consume(limiter, &format!("again {client}"), 1), unit < LIMIT);
        }
    }
    assert_eq!(core.stats(now()).expect("open").size, 10);
    assert_eq!(core.states_in_flight(), Ok(0), "no call is made");
}
