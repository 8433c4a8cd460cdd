//! Each thread stands for a process: what it knows of a client, it reads in the mapping.

use std::net::IpAddr;

use loom::thread;

use super::*;
use crate::reputation::history::{Cause, Outcome};
use crate::runtime::clock::MS;
use crate::runtime::key_hash;

const NOW: u64 = 1_000 * MS;

const POLICY: Policy = Policy {
    max_failures: 2,
    find_time: 100 * MS,
    ban_time_ms: 100,
    ban_factor: 2.0,
    max_ban_time_ms: 1_000,
    jitter: 0.0,
    most_moments: 1,
};

struct OneProcess;

impl Host for OneProcess {
    fn now(&self) -> u64 {
        NOW
    }

    fn hasher(&self) -> &key_hash::KeyHasher {
        key_hash::of_process()
    }

    fn look_after(&self) -> bool {
        false
    }
}

/// Clients in a table of two slots, with a record for each and some to spare.
fn clients() -> Arc<MachineClients> {
    let processes = Processes::new(&Arena::measure()).expect("room");
    processes.take(0, 1, 1);
    let host: Arc<dyn Host> = Arc::new(OneProcess);
    let date = Arc::new(MachineDate::new(Arc::clone(&host)));
    let processes = Arc::new(processes);
    let clients = MachineClients::new(1, &POLICY, &Arena::measure(), processes, (host, date));
    Arc::new(clients.expect("room"))
}

fn client(last: u8) -> Client {
    Client::of(IpAddr::from([192, 0, 2, last]), 64)
}

fn fail(clients: &MachineClients, last: u8) -> Option<Outcome> {
    let apply = |history: &mut History| history.apply(&POLICY, Cause::Failures(1), None, NOW, || 0.0);
    clients.with(client(last), &POLICY, NOW, apply).ok()
}

fn in_thread<R: 'static>(
    clients: &Arc<MachineClients>,
    body: impl FnOnce(&MachineClients) -> R + 'static,
) -> thread::JoinHandle<R> {
    let clients = Arc::clone(clients);
    thread::spawn(move || body(&clients))
}

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn one_crossing_is_one_ban_of_all_processes() {
    check(2, || {
        let clients = clients();
        assert_eq!(fail(&clients, 1), Some(Outcome::Counted));
        let calls = [(); 2].map(|()| in_thread(&clients, |clients| fail(clients, 1).expect("room")));
        let mut outcomes = calls.map(|call| call.join().expect("no panic"));
        outcomes.sort_by_key(|outcome| *outcome as u8);
        assert_eq!(outcomes, [Outcome::Ignored, Outcome::Banned]);
        assert_eq!(clients.read(client(1), |history| history.bans), Some(1));
        assert!(clients.is_banned(client(1), NOW) && !clients.is_banned(client(1), NOW + 100 * MS));
    });
}

#[test]
fn two_first_failures_are_one_ban() {
    check(2, || {
        let clients = clients();
        let calls = [(); 2].map(|()| in_thread(&clients, |clients| fail(clients, 1).expect("room")));
        let mut outcomes = calls.map(|call| call.join().expect("no panic"));
        outcomes.sort_by_key(|outcome| *outcome as u8);
        assert_eq!(outcomes, [Outcome::Counted, Outcome::Banned]);
        assert!(clients.is_banned(client(1), NOW));
    });
}

#[test]
fn a_client_that_is_banned_beside_an_eviction_stays() {
    check(2, || {
        let clients = clients();
        let by_hand = |history: &mut History| history.ban(BanTerm::by_hand(u64::MAX, None), NOW);
        // One slot of two is out of reach.
        assert!(clients.with(client(2), &POLICY, NOW, by_hand).is_ok());
        assert_eq!(fail(&clients, 1), Some(Outcome::Counted));
        let crossing = in_thread(&clients, |clients| fail(clients, 1));
        let eviction = in_thread(&clients, |clients| fail(clients, 3));
        let outcome = crossing.join().expect("no panic");
        eviction.join().expect("no panic");
        // Where it was evicted first, the failure is the first of a client that is new.
        assert_eq!(clients.is_banned(client(1), NOW), outcome == Some(Outcome::Banned));
        assert!(clients.is_banned(client(2), NOW));
    });
}

/// A ban that was acknowledged is seen by every later reader, whatever changes the client meanwhile.
#[test]
fn a_ban_is_seen_while_the_client_changes() {
    check(2, || {
        let clients = clients();
        let until = |until| move |history: &mut History| history.ban(BanTerm::by_hand(until, None), NOW);
        assert!(clients.with(client(1), &POLICY, NOW, until(NOW + MS)).is_ok());
        let change = in_thread(&clients, move |clients| {
            for longer in [2, 3] {
                assert!(clients.with(client(1), &POLICY, NOW, until(NOW + longer * MS)).is_ok());
            }
        });
        let read = in_thread(&clients, |clients| {
            assert!(clients.is_banned(client(1), NOW));
            assert!(clients.read(client(1), |history| history.ban_in_force(NOW).is_some()).unwrap_or(false));
        });
        [change, read].into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert!(clients.is_banned(client(1), NOW + 2 * MS));
    });
}
