//! Two processes that have the same memory mapped, each with a reputation of its own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::reputation::FOREVER;
use crate::reputation::ban_events::{BanChange, BanEvent};
use crate::reputation::machine::in_memory::InMemory;
use crate::reputation::options::ReputationOptions;
use crate::runtime::arena::tests::mapping;
use crate::runtime::clock::MS;
use crate::runtime::key_hash::{self, KeyHasher};
use crate::runtime::mailbox::{EventSink, SubscriptionId};
use crate::runtime::{Instance, ThreadId};

const NOW: u64 = 1_700_000_000_000 * MS;
const MINUTE: u64 = 60_000 * MS;
const A: &str = "203.0.113.7";

/// The time of all processes.
#[derive(Default)]
struct TestHost(AtomicU64);

impl Host for TestHost {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn hasher(&self) -> &KeyHasher {
        key_hash::of_process()
    }

    fn look_after(&self) -> bool {
        false
    }
}

/// Three failures in ten minutes ban for a minute.
fn options() -> ReputationOptions {
    ReputationOptions { max_clients: 100, ..ReputationOptions::new(3, 600_000, 60_000, 3_600_000) }
}

/// Keeps what a thread hears.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Arc<BanEvent>>>);

impl EventSink<Arc<BanEvent>> for Heard {
    fn thread(&self) -> ThreadId {
        ThreadId(1)
    }

    fn push(&self, _: SubscriptionId, event: Arc<BanEvent>) -> bool {
        self.0.lock().expect("no panic").push(event);
        true
    }

    fn destroyed(&self, _: SubscriptionId) {}
}

struct Machine {
    mapping: Arc<memmap2::MmapRaw>,
    files: InMemory,
}

impl Machine {
    fn new(options: &ReputationOptions) -> Self {
        let config = options.clone().try_into().expect("valid");
        let rows = Arena::measure();
        let _ = Processes::new(&rows);
        let bytes = rows.taken() + Reputation::bytes(&config).expect("room");
        Self { mapping: mapping(bytes), files: InMemory::default() }
    }

    /// What the process of a row has.
    fn attach(&self, row: usize, options: ReputationOptions) -> (Reputation, Arc<Processes>) {
        let arena = Arena::in_mapping(Arc::clone(&self.mapping));
        let processes = Arc::new(Processes::new(&arena).expect("room"));
        processes.take(row, 1, 1);
        let outside = (Arc::new(TestHost(AtomicU64::new(NOW))) as _, Box::new(self.files.clone()) as _);
        let config = options.try_into().expect("valid");
        let reputation = Reputation::shared("test", config, &arena, &processes, outside).expect("room");
        (reputation, processes)
    }
}

fn two(options: &ReputationOptions) -> [Reputation; 2] {
    let machine = Machine::new(options);
    [0, 1].map(|row| machine.attach(row, options.clone()).0)
}

fn fail(reputation: &Reputation, ip: &str, now: u64) -> bool {
    reputation.record_failure(ip, 1, Some("password"), now).expect("open").banned
}

#[test]
fn failures_of_all_processes_make_one_ban() {
    let [first, second] = two(&options());
    assert!(!fail(&first, A, NOW) && !fail(&second, A, NOW));
    assert!(fail(&first, A, NOW));
    for reputation in [&first, &second] {
        assert!(reputation.is_banned(A, NOW).expect("open"));
        let verdict = reputation.check(A, NOW).expect("open");
        assert_eq!((verdict.until, verdict.failures, verdict.bans), (Some(NOW + MINUTE), 3, 1));
        assert_eq!(verdict.reason.as_deref(), Some("password"));
        assert!(!reputation.is_banned(A, NOW + MINUTE).expect("open"), "until its end");
        let stats = reputation.stats(NOW).expect("open");
        assert_eq!((stats.failures, stats.bans, stats.banned, stats.size), (3, 1, 1, 1), "sums over both");
    }
    assert!(fail(&second, A, NOW), "a failure during the ban changes nothing");
    assert_eq!(first.check(A, NOW).expect("open").bans, 1);
}

#[test]
fn a_second_ban_is_longer_and_needs_fewer_failures_as_in_one_process() {
    let [first, second] = two(&options());
    let single = Reputation::with_chance("single", options().try_into().expect("valid"), || 0.0);
    let mut now = NOW;
    for step in 0..40 {
        let shared = if step % 2 == 0 { &first } else { &second };
        let [of_machine, of_process] =
            [shared, &single].map(|reputation| reputation.record_failure(A, 1, None, now).expect("open"));
        assert_eq!(of_machine, of_process, "step {step}");
        now += 37_000 * MS;
    }
    assert!(single.check(A, now).expect("open").bans > 1, "it was banned again and again");
}

#[test]
fn bans_by_hand_are_listed_and_ended_by_any_process() {
    let [first, second] = two(&options());
    assert!(first.ban(A, None, Some("by hand"), NOW).expect("room"));
    assert!(second.ban("2001:db8::/64", Some(MINUTE), None, NOW).expect("room"), "one client");
    let bans = second.bans(NOW).expect("open");
    let listed: Vec<_> = bans.iter().map(|ban| (ban.target(), ban.until, ban.reason.as_deref())).collect();
    let expected = [("2001:db8::".to_owned(), NOW + MINUTE, None), (A.to_owned(), FOREVER, Some("by hand"))];
    assert_eq!(listed, expected);
    assert!(second.unban(A, NOW).expect("open") && !first.unban(A, NOW).expect("open"));
    assert!(!first.is_banned(A, NOW).expect("open"));
    assert_eq!(first.bans(NOW).expect("open").len(), 1);
}

#[test]
fn ranges_and_lists_are_those_of_all_processes() {
    let lists = ReputationOptions { deny: vec!["192.0.2.0/24".to_owned()], ..options() };
    let [first, second] = two(&lists);
    let is_banned = |reputation: &Reputation, ip: &str| reputation.is_banned(ip, NOW).expect("open");
    assert!(is_banned(&first, "192.0.2.9") && is_banned(&second, "192.0.2.9"));
    assert!(first.ban("198.51.100.0/24", Some(MINUTE), None, NOW).expect("room"));
    assert!(is_banned(&second, "198.51.100.3"));
    second.set_lists(&["198.51.100.3".to_owned()], &[]).expect("valid");
    assert!(!is_banned(&first, "198.51.100.3") && is_banned(&first, "198.51.100.4"));
    assert!(!is_banned(&first, "192.0.2.9"));
    let stats = first.stats(NOW).expect("open");
    assert_eq!((stats.allow, stats.deny, stats.ranges), (1, 0, 1));
    assert!(second.unban("198.51.100.0/24", NOW).expect("open"));
    assert!(!second.unban("198.51.100.0/24", NOW).expect("open"));
    assert!(!is_banned(&first, "198.51.100.4"));
    assert!(!fail(&first, "198.51.100.3", NOW), "an allowed client has no failures");
    assert_eq!(first.check("198.51.100.3", NOW).expect("open").failures, 0);
}

#[test]
fn a_dead_process_takes_nothing_with_it() {
    let machine = Machine::new(&options());
    let ((first, dead), (second, living)) = (machine.attach(0, options()), machine.attach(1, options()));
    assert!(!fail(&first, A, NOW) && !fail(&first, A, NOW));
    assert!(first.ban("203.0.113.8", None, None, NOW).expect("room"));
    drop(first);
    assert!(living.bury(dead.own().expect("a row")));
    assert_eq!(second.repair(NOW), 0);
    assert!(fail(&second, A, NOW), "its failures count");
    assert!(second.is_banned("203.0.113.8", NOW).expect("open"));
}

#[test]
fn a_flood_evicts_no_banned_client() {
    let small = ReputationOptions { max_clients: 8, ..options() };
    let [first, second] = two(&small);
    let address = |host: u32| std::net::Ipv4Addr::from(0x0a00_0000 + host).to_string();
    let banned: Vec<_> =
        (0..40).map(address).filter(|ip| first.ban(ip, None, None, NOW).expect("open")).collect();
    assert!((8..=40).contains(&banned.len()));
    for host in 1_000..3_000 {
        fail(&second, &address(host), NOW);
    }
    assert!(banned.iter().all(|ip| second.is_banned(ip, NOW).expect("open")));
    let stats = second.stats(NOW).expect("open");
    assert_eq!(stats.banned, banned.len() as u64);
    assert!(stats.untracked > 0 && stats.size <= stats.banned + 16, "{stats:?}");
}

#[test]
fn other_options_come_into_force_for_all_processes() {
    let [first, second] = two(&options());
    assert!(!fail(&first, A, NOW));
    let stricter = ReputationOptions { deny: vec!["192.0.2.1".to_owned()], max_failures: 2, ..options() };
    Instance::reconfigure(&first, "test", stricter.try_into().expect("valid"), false).expect("changeable");
    assert!(fail(&second, A, NOW), "the second failure bans");
    assert!(second.is_banned("192.0.2.1", NOW).expect("open"));
    let in_force = second.options_in_force();
    assert!(in_force.contains(&("maxFailures", "2".to_owned())), "{in_force:?}");
}

#[test]
fn more_failures_than_there_is_room_for_share_moments() {
    let patient = ReputationOptions { max_failures: 100, ..options() };
    let [first, second] = two(&patient);
    // Ten minutes, 32 moments.
    for failure in 0..99 {
        let reputation = if failure % 2 == 0 { &first } else { &second };
        assert!(!fail(reputation, A, NOW + failure * 5_000 * MS), "failure {failure}");
    }
    assert!(fail(&first, A, NOW + 99 * 5_000 * MS));
}

#[test]
fn what_processes_share_stays_when_one_resets_or_closes() {
    let [first, second] = two(&options());
    assert!(first.ban(A, None, None, NOW).expect("room"));
    Instance::reset(&first);
    assert!(first.is_banned(A, NOW).expect("open"));
    Instance::close(&first);
    assert_eq!(first.is_banned(A, NOW).expect_err("closed").code(), "CLOSED");
    assert!(second.is_banned(A, NOW).expect("open"));
}

#[test]
fn listeners_hear_of_their_own_process_at_once_and_of_others_when_they_look() {
    let [first, second] = two(&options());
    let listener = Arc::new(Heard::default());
    first.subscribe(Arc::clone(&listener) as _, 1, NOW).expect("open");
    let heard = || -> Vec<_> {
        let events = std::mem::take(&mut *listener.0.lock().expect("no panic"));
        events.into_iter().map(|event| (event.change, event.ban.target())).collect()
    };
    let banned = BanChange::Banned { is_extended: false };
    assert!(first.ban(A, Some(MINUTE), None, NOW).expect("room"));
    assert_eq!(heard(), [(banned, A.to_owned())]);
    assert!(second.unban(A, NOW).expect("open"));
    assert!(second.ban("203.0.113.8", Some(MINUTE), None, NOW).expect("room"));
    assert!(second.ban("198.51.100.0/24", Some(MINUTE), None, NOW).expect("room"));
    assert_eq!(heard(), []);
    first.follow_others(NOW).expect("readable");
    let mut all = heard();
    all.sort_by(|one, other| one.1.cmp(&other.1));
    let expected = [
        (banned, "198.51.100.0/24".to_owned()),
        (BanChange::Unbanned, A.to_owned()),
        (banned, "203.0.113.8".to_owned()),
    ];
    assert_eq!(all, expected);
    first.follow_others(NOW).expect("readable");
    assert_eq!(heard(), [], "once");
    assert_eq!(first.expire_bans(NOW + MINUTE), None);
    assert_eq!(heard().len(), 2, "both have expired");
}
