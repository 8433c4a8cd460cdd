use sluice_core::{ReputationConfig, ReputationOptions};

use super::*;
use crate::bans::stored::{remaining_ms, rest_of};

const CLIENT: &str = "203.0.113.7";
/// A time of the server's clock, which has nothing to do with that of this process.
const NOW: i64 = 3_600_000;
/// Where each of these tests stops the clock of this process, so that no second passes between two lines. No other test of
/// this crate goes by it.
const HERE: u64 = 1_800_000_000_000 * MS;

struct Here {
    reputation: Arc<Reputation>,
    changes: Mutex<Changes>,
    replica: Replica,
}

impl Here {
    fn new() -> Self {
        clock::set_manual(HERE);
        let options = ReputationOptions::new(3, 60_000, 60_000, 600_000);
        let config = ReputationConfig::try_from(options).expect("valid");
        Self {
            reputation: Arc::new(Reputation::new("logins", config)),
            changes: Mutex::default(),
            replica: Replica::default(),
        }
    }

    fn follow(&mut self, target: &str, value: &str) -> bool {
        let own = Own { reputation: &self.reputation, changes: &self.changes };
        self.replica.follow(&own, target, value, NOW)
    }

    /// The server has answered the change that was sent.
    fn answer(&mut self, value: &str) {
        self.changes.lock().done(CLIENT);
        if self.changes.lock().has(CLIENT) {
            return self.replica.note(CLIENT, value);
        }
        let own = Own { reputation: &self.reputation, changes: &self.changes };
        self.replica.follow_answer(&own, CLIENT, value, NOW);
    }

    fn note_change(&self, lifted: Option<u64>) {
        let mut changes = self.changes.lock();
        match lifted {
            Some(until) => changes.lifted(CLIENT.to_owned(), until),
            None => changes.banned(CLIENT.to_owned()),
        }
    }

    fn settle(&mut self, seen: &[&str]) -> u64 {
        let own = Own { reputation: &self.reputation, changes: &self.changes };
        self.replica.settle(&own, |target| seen.contains(&target), NOW)
    }

    fn is_banned(&self) -> bool {
        self.reputation.is_banned(CLIENT, clock::now()).expect("open")
    }

    /// Seconds until the end of the ban.
    fn remaining(&self) -> Option<u64> {
        let ban = self.reputation.ban_of(CLIENT, clock::now()).expect("open")?;
        ban.remaining.map(|remaining| remaining.div_ceil(1_000 * MS))
    }

    fn ban(&self, seconds: u64) {
        self.reputation.ban(CLIENT, Some(seconds * 1_000 * MS), None, clock::now()).expect("open");
    }

    fn sends(&self) -> Option<String> {
        self.changes.lock().next().map(|(target, _)| target)
    }
}

/// The value of a ban that lasts so many seconds more.
fn value(seconds: u64) -> String {
    let ban = SharedBan { remaining: Some(seconds * 1_000 * MS), bans: 1, ..SharedBan::default() };
    format!("{} {}", NOW + remaining_ms(ban.remaining), rest_of(&ban))
}

#[test]
fn follows_bans_and_their_ends() {
    let mut here = Here::new();
    assert!(here.follow(CLIENT, &value(60)));
    assert_eq!((here.is_banned(), here.remaining()), (true, Some(60)));
    assert!(!here.follow(CLIENT, &value(60)), "nothing new");
    assert!(here.follow(CLIENT, &value(90)));
    assert_eq!(here.remaining(), Some(90));
    assert!(here.follow(CLIENT, &value(30)), "lifted and banned again, for less");
    assert_eq!(here.remaining(), Some(30));
    assert!(here.follow(CLIENT, ""));
    assert!(!here.is_banned());
    assert_eq!(here.sends(), None, "the server has it already");
}

#[test]
fn a_change_that_is_on_its_way_goes_before_what_the_server_says() {
    let mut here = Here::new();
    here.ban(60);
    here.changes.lock().banned(CLIENT.to_owned());
    assert!(!here.follow(CLIENT, ""));
    assert!(here.is_banned());
}

#[test]
fn a_ban_that_two_answers_say_is_in_force_here_too() {
    let mut here = Here::new();
    here.ban(60);
    here.note_change(None);
    assert!(here.sends().is_some());
    here.reputation.unban(CLIENT, clock::now()).expect("open");
    here.note_change(Some(clock::now() + 60_000 * MS));
    // Another process has banned for longer: that ban stays, whatever this one changes.
    here.answer(&value(90));
    assert!(!here.is_banned(), "its last change is on its way");
    assert!(here.sends().is_some());
    here.answer(&value(90));
    assert_eq!(here.remaining(), Some(90));
}

#[test]
fn of_two_bans_the_later_end_holds_and_the_server_gets_it() {
    let mut here = Here::new();
    here.ban(90);
    assert!(!here.follow(CLIENT, &value(60)));
    assert_eq!((here.remaining(), here.sends().as_deref()), (Some(90), Some(CLIENT)));
    let mut here = Here::new();
    here.ban(60);
    assert!(here.follow(CLIENT, &value(90)));
    assert_eq!((here.remaining(), here.sends()), (Some(90), None));
}

#[test]
fn ends_that_differ_by_the_way_of_a_message_are_equal() {
    let mut here = Here::new();
    here.ban(60);
    let later = value(60).replacen("3660000", "3660200", 1);
    assert!(!here.follow(CLIENT, &later));
    assert_eq!(here.sends(), None);
}

#[test]
fn what_was_lifted_elsewhere_is_lifted_and_what_the_server_lacks_is_sent() {
    let mut here = Here::new();
    here.follow(CLIENT, &value(60));
    assert_eq!(here.settle(&[CLIENT]), 0);
    assert!(here.is_banned());
    assert_eq!(here.settle(&[]), 1);
    assert!(!here.is_banned());

    // The server has lost its data.
    here.follow(CLIENT, &value(60));
    here.replica.begin("other".to_owned());
    assert_eq!(here.settle(&[]), 0);
    assert_eq!((here.is_banned(), here.sends().as_deref()), (true, Some(CLIENT)));
}

#[test]
fn bans_that_have_ended_are_forgotten_and_not_sent_again() {
    let mut here = Here::new();
    here.follow(CLIENT, &value(60));
    here.replica.forget_ended(NOW);
    assert_eq!(here.replica.len(), 1);
    here.replica.forget_ended(NOW + 60_000);
    assert_eq!((here.replica.len(), here.replica.ended.len()), (0, 1));
    // By the clock of this process it is still in force.
    assert_eq!((here.settle(&[CLIENT]), here.settle(&[]), here.sends()), (0, 0, None));
    here.replica.forget_ended(NOW + 120_000);
    assert_eq!(here.replica.ended.len(), 0);
}

#[test]
fn a_process_with_a_shorter_prefix_bans_the_wider_client() {
    let options = ReputationOptions { ipv6_prefix: 48, ..ReputationOptions::new(3, 60_000, 60_000, 600_000) };
    let config = ReputationConfig::try_from(options).expect("valid");
    let mut here = Here { reputation: Arc::new(Reputation::new("logins", config)), ..Here::new() };
    here.follow("2001:db8:0:7::", &value(60));
    assert!(here.reputation.is_banned("2001:db8:0:8::1", clock::now()).expect("open"));
    assert_eq!(here.settle(&["2001:db8::"]), 0, "it is the same client");
}
