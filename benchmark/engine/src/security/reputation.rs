//! Failures and bans of clients.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::RwLock;

use rapidhash::fast::RandomState;
use sluice_core::runtime::clock::MS;
use sluice_core::{Reputation, ReputationOptions};

use super::{Call, Guard, LENGTH};
use crate::contenders::{Locks, NOW, Text};
use crate::waited::Waited;

/// More failures than a client reaches: every eighth call of a thread is a success, and in eight passes over the clients
/// each thread records a success of every client.
const MAX_FAILURES: usize = 1_000;
const FIND_TIME_MS: u64 = 600_000;
const BAN_TIME_MS: u64 = 3_600_000;

/// A reputation in either form.
pub trait Judge: Send + Sync {
    const LOCKS_OF_READERS: Locks;
    const LOCKS_OF_WRITERS: Locks;

    fn is_banned(&self, ip: &str, waited: &mut Waited) -> bool;
    /// Whether the client is banned now.
    fn record_failure(&self, ip: &str, waited: &mut Waited) -> bool;
    fn record_success(&self, ip: &str, waited: &mut Waited);
    fn ban(&self, ip: &str);
}

/// Every second client is banned.
pub struct IsBanned<J>(pub J);

/// Seven failures, then a success that clears those of the client, so that none is banned.
pub struct RecordFailure<J>(pub J);

impl<J: Judge> Guard for IsBanned<J> {
    const LOCKS: Locks = J::LOCKS_OF_READERS;

    fn fill(&self, clients: &[Text]) {
        for (number, ip) in clients.iter().enumerate() {
            if is_bad(number as u32) {
                self.0.ban(ip);
            } else {
                self.0.record_failure(ip, &mut Waited::default());
            }
        }
    }

    fn call(&self, call: Call, waited: &mut Waited) -> bool {
        self.0.is_banned(call.ip, waited) == is_bad(call.client)
    }
}

impl<J: Judge> Guard for RecordFailure<J> {
    const LOCKS: Locks = J::LOCKS_OF_WRITERS;

    fn call(&self, call: Call, waited: &mut Waited) -> bool {
        // A different eighth in each pass over the clients, so that every client has a success.
        if (call.before + call.before / LENGTH) % 8 == 7 {
            self.0.record_success(call.ip, waited);
            return true;
        }
        !self.0.record_failure(call.ip, waited)
    }
}

fn is_bad(client: u32) -> bool {
    client % 2 == 1
}

pub struct Sluice(Reputation);

impl Sluice {
    pub fn new() -> Self {
        let options = ReputationOptions::new(MAX_FAILURES as u64, FIND_TIME_MS, BAN_TIME_MS, BAN_TIME_MS);
        Self(Reputation::new("benchmark", options.try_into().expect("valid options")))
    }
}

impl Judge for Sluice {
    const LOCKS_OF_READERS: Locks = Locks::None;
    const LOCKS_OF_WRITERS: Locks = Locks::Hidden;

    fn is_banned(&self, ip: &str, _: &mut Waited) -> bool {
        self.0.is_banned(ip, *NOW).expect("an address")
    }

    fn record_failure(&self, ip: &str, _: &mut Waited) -> bool {
        self.0.record_failure(ip, 1, None, *NOW).expect("an address").banned
    }

    fn record_success(&self, ip: &str, _: &mut Waited) {
        self.0.record_success(ip).expect("an address");
    }

    fn ban(&self, ip: &str) {
        self.0.ban(ip, Some(BAN_TIME_MS * MS), None, *NOW).expect("an address");
    }
}

/// Clients by address, behind one lock. Has no lists and never evicts a client.
#[derive(Default)]
pub struct Plain(RwLock<HashMap<IpAddr, Record, RandomState>>);

#[derive(Default)]
struct Record {
    failures: VecDeque<u64>,
    banned_until: u64,
}

impl Judge for Plain {
    const LOCKS_OF_READERS: Locks = Locks::Measured;
    const LOCKS_OF_WRITERS: Locks = Locks::Measured;

    fn is_banned(&self, ip: &str, waited: &mut Waited) -> bool {
        let client = address(ip);
        waited.read(&self.0).get(&client).is_some_and(|record| record.banned_until > *NOW)
    }

    fn record_failure(&self, ip: &str, waited: &mut Waited) -> bool {
        let client = address(ip);
        waited.write(&self.0).entry(client).or_default().fail(*NOW)
    }

    fn record_success(&self, ip: &str, waited: &mut Waited) {
        let client = address(ip);
        if let Some(record) = waited.write(&self.0).get_mut(&client) {
            record.failures.clear();
        }
    }

    fn ban(&self, ip: &str) {
        let record = Record { banned_until: *NOW + BAN_TIME_MS * MS, ..Record::default() };
        self.0.write().expect("not poisoned").insert(address(ip), record);
    }
}

impl Record {
    fn fail(&mut self, now: u64) -> bool {
        if self.banned_until > now {
            return true;
        }
        while self.failures.front().is_some_and(|failure| now - failure >= FIND_TIME_MS * MS) {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        let banned = self.failures.len() >= MAX_FAILURES;
        if banned {
            self.failures.clear();
            self.banned_until = now + BAN_TIME_MS * MS;
        }
        banned
    }
}

fn address(ip: &str) -> IpAddr {
    ip.parse().expect("an address")
}
