//! The clients of a reputation that processes share.
//!
//! A change reads the words of a client, decides by them, and exchanges them for others; of two calls the later one decides
//! again. So the same failures make one ban, of whichever processes they are and wherever one of them is killed.

use std::cell::Cell as LastOf;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::client_words::ClientWords;
use super::date::MachineDate;
use super::histories::{Histories, moments};
use crate::key_table::{Full, Overflow, Step, Table, bytes_of_a_key};
use crate::machine::{Host, Processes};
use crate::reputation::ban_watch::{BanWatch, Target};
use crate::reputation::client::Client;
use crate::reputation::history::History;
use crate::reputation::policy::Policy;
use crate::reputation::verdict::BanTerm;
use crate::runtime::arena::{Arena, Word};
use crate::runtime::key_hash::KeyHash;
use crate::runtime::planted::planted;
use crate::runtime::sync::{Mutex, Ordering};

pub(in crate::reputation) struct MachineClients {
    table: Table<Histories>,
    processes: Arc<Processes>,
    host: Arc<dyn Host>,
    watch: BanWatch,
    /// How many bans were made, ended or extended: other processes look for these.
    changes: Word,
    /// Of `changes`, what this process has looked for.
    looked_at: Mutex<u64>,
    moments: usize,
}

impl MachineClients {
    /// Most bytes of a client.
    pub(in crate::reputation) fn bytes_each(policy: &Policy) -> u64 {
        bytes_of_a_key(1) + Histories::bytes_each(policy) as u64 * 10 / 7
    }

    pub(in crate::reputation) fn new(
        capacity: usize,
        policy: &Policy,
        arena: &Arena,
        processes: Arc<Processes>,
        (host, date): (Arc<dyn Host>, Arc<MachineDate>),
    ) -> io::Result<Self> {
        let changes = arena.word()?;
        let histories = |slots| Histories::new(slots, policy, arena, Arc::clone(&processes));
        Ok(Self {
            looked_at: Mutex::new(changes.load(Ordering::SeqCst)),
            changes,
            table: Table::new(capacity, Overflow::Evict, arena, histories)?,
            processes,
            host,
            watch: BanWatch::of_machine(date),
            moments: moments(policy),
        })
    }

    /// Moments that a client has room for.
    pub(in crate::reputation) fn moments(policy: &Policy) -> u64 {
        moments(policy) as u64
    }

    pub(in crate::reputation) fn watch(&self) -> &BanWatch {
        &self.watch
    }

    fn key(&self, client: Client) -> KeyHash {
        self.host.hasher().bytes(&client.bits().to_le_bytes())
    }

    /// Whether a client is banned: the line of its slot, and one of its words.
    #[inline]
    pub(in crate::reputation) fn is_banned(&self, client: Client, now: u64) -> bool {
        now < self.table.look_at(self.key(client), Histories::until).unwrap_or(0)
    }

    /// Reads the history of a known client.
    pub(in crate::reputation) fn read<R>(
        &self,
        client: Client,
        look: impl FnOnce(&History) -> R,
    ) -> Option<R> {
        self.table.get(self.key(client)).map(|known| look(&known.words.history()))
    }

    /// Changes the history of a known client. `change` may be called more than once; its last result holds.
    pub(in crate::reputation) fn existing<R>(
        &self,
        client: Client,
        now: u64,
        change: impl Fn(&mut History) -> R,
    ) -> Option<R> {
        let _present = self.processes.enter()?;
        let before = LastOf::new(0);
        let decide = |words: &ClientWords| {
            before.set(words.until());
            self.decide(client, words, &change)
        };
        let changed = self.table.update_existing(self.key(client), |known| decide(&known.words));
        changed.map(|(until, result)| {
            self.follow(client, before.get(), until, now);
            result
        })
    }

    /// Changes the history of a client, which is new where it is not known. A new history is stored if it then matters.
    pub(in crate::reputation) fn with<R>(
        &self,
        client: Client,
        policy: &Policy,
        now: u64,
        change: impl Fn(&mut History) -> R,
    ) -> Result<R, Full> {
        // A process that is about to give its row back stores nothing.
        let Some(_present) = self.processes.enter() else { return Err(Full { earliest_vacancy: now }) };
        let (before, first) = (LastOf::new(0), LastOf::new(None));
        let decide = |words: &ClientWords| {
            if planted!(FailureDecidedOnce) {
                let by = first.get().unwrap_or(*words);
                first.set(Some(by));
                return self.decide(client, &by, &change);
            }
            before.set(words.until());
            self.decide(client, words, &change)
        };
        let lifetime = |words: &ClientWords, now| words.lifetime(policy, now);
        let changed = self.table.update(self.key(client), now, lifetime, |known, _| decide(&known.words));
        changed.map(|(until, result)| {
            self.follow(client, before.get(), until, now);
            result
        })
    }

    /// What becomes of the words of a client: the end of its ban then, and the result of the change.
    fn decide<R>(
        &self,
        client: Client,
        words: &ClientWords,
        change: impl Fn(&mut History) -> R,
    ) -> Step<ClientWords, (u64, R)> {
        let mut history = words.history();
        let result = change(&mut history);
        let next = ClientWords::of(client, &history, self.moments);
        let result = (next.until(), result);
        if next == *words { Step::Keep(result) } else { Step::Write(next, result) }
    }

    /// Forgets a client's failures that have not led to a ban.
    pub(in crate::reputation) fn forgive(&self, client: Client) {
        // No ban changes.
        self.existing(client, 0, History::forgive);
    }

    /// A ban of a client has changed. Subscribers hear of what is in force now: another call may have changed it since.
    fn follow(&self, client: Client, before: u64, until: u64, now: u64) {
        if before == until {
            return;
        }
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.watch.follow_read(Target::Client(client), now, || self.term(client));
    }

    fn term(&self, client: Client) -> Option<BanTerm> {
        self.table.get(self.key(client)).and_then(|known| known.words.term())
    }

    /// Notes the bans in force.
    pub(in crate::reputation) fn note_bans(&self, now: u64) {
        *self.looked_at.lock() = self.changes.load(Ordering::SeqCst);
        for client in self.banned(now) {
            self.watch.note_read(Target::Client(client), now, || self.term(client));
        }
    }

    /// Notifies subscribers of what other processes changed. One pass over all clients, where they changed any ban.
    pub(in crate::reputation) fn follow_others(&self, now: u64) {
        let mut looked_at = self.looked_at.lock();
        // Before the pass: what changes during it is looked for again.
        let changes = self.changes.load(Ordering::SeqCst);
        if *looked_at == changes || !self.watch.is_on() {
            return;
        }
        *looked_at = changes;
        let clients: BTreeSet<_> = self.watch.clients().into_iter().chain(self.banned(now)).collect();
        for client in clients {
            self.watch.follow_read(Target::Client(client), now, || self.term(client));
        }
    }

    fn banned(&self, now: u64) -> Vec<Client> {
        let mut banned = Vec::new();
        self.table.each(|words| {
            if now < words.until() {
                banned.push(words.client());
            }
        });
        banned
    }

    /// Every client; their histories are read one after the other.
    pub(in crate::reputation) fn all(&self) -> Vec<(Client, History)> {
        let mut clients = Vec::new();
        self.table.each(|words| clients.push((words.client(), words.history())));
        clients
    }

    /// How many clients matter, and how many are banned. One pass over all.
    pub(in crate::reputation) fn count(&self, policy: &Policy, now: u64) -> (u64, u64) {
        let (mut size, mut banned) = (0, 0);
        self.table.each(|words| {
            size += u64::from(words.lifetime(policy, now) > 0);
            banned += u64::from(now < words.until());
        });
        (size, banned)
    }

    pub(in crate::reputation) fn evicted(&self) -> u64 {
        self.table.live_evictions()
    }

    /// Cancels inserts that a killed process has begun; how many.
    pub(in crate::reputation) fn repair(&self, now: u64) -> u64 {
        self.table.repair(now).0
    }
}

/// Every interleaving of processes.
#[cfg(all(test, sluice_loom))]
mod models;
