use std::collections::BTreeMap;
use std::sync::Arc;

use super::key_state::GRACE;
use super::*;
use crate::deliveries::{Item, Mailbox};
use crate::runtime::key_hash::{KeyHash, hash_str};
use crate::runtime::{Instance, ThreadId};

/// A thread whose calls wait.
struct Calling {
    caller: SemaphoreCaller,
    mailbox: Arc<Mailbox>,
}

impl Calling {
    fn thread(&self) -> ThreadId {
        self.mailbox.thread()
    }

    fn events(&self) -> Vec<SemaphoreEvent> {
        let of_semaphore = |item| match item {
            Item::Semaphore(event) => event,
            other => panic!("{other:?}"),
        };
        self.mailbox.take().into_iter().map(|delivery| of_semaphore(delivery.item)).collect()
    }

    /// The calls to which permits were handed.
    fn granted(&self) -> Vec<PermitWaitId> {
        let granted = |event| match event {
            SemaphoreEvent::Granted { wait } => wait,
            other => panic!("{other:?}"),
        };
        self.events().into_iter().map(granted).collect()
    }
}

fn calling(thread: u64) -> Calling {
    let mailbox = Arc::new(Mailbox::new(ThreadId(thread), Box::new(|| ())));
    let caller = SemaphoreCaller { mailbox: Arc::<Mailbox>::clone(&mailbox), subscription: 1 };
    Calling { caller, mailbox }
}

fn key() -> KeyHash {
    hash_str("database")
}

fn of(permits: u64) -> Semaphore {
    bounded(permits, 1_000)
}

fn bounded(permits: u64, max_waiting: u64) -> Semaphore {
    let options = SemaphoreOptions { max_waiting, ..SemaphoreOptions::new(permits) };
    Semaphore::new("test", options.try_into().expect("valid"))
}

fn acquire(semaphore: &Semaphore, calling: &Calling, permits: u64) -> Acquired {
    semaphore.acquire(key(), &calling.caller, permits).expect("valid")
}

fn take(semaphore: &Semaphore, calling: &Calling, permits: u64) -> Hold {
    match acquire(semaphore, calling, permits) {
        Acquired::Taken(serial) => Hold { key: key(), serial, permits },
        other => panic!("{other:?}"),
    }
}

fn wait(semaphore: &Semaphore, calling: &Calling, permits: u64) -> PermitWaitId {
    match acquire(semaphore, calling, permits) {
        Acquired::Waits { wait, .. } => wait,
        other => panic!("{other:?}"),
    }
}

fn confirm(semaphore: &Semaphore, calling: &Calling, wait: PermitWaitId) -> bool {
    semaphore.take(key(), wait, &calling.caller, 0).0
}

fn stats(semaphore: &Semaphore) -> SemaphoreStats {
    semaphore.stats().expect("open")
}

#[test]
fn serves_in_the_order_of_arrival_whatever_the_number() {
    let semaphore = of(3);
    let [holder, first, second] = [1, 2, 3].map(calling);
    let held = [take(&semaphore, &holder, 1), take(&semaphore, &holder, 2)];
    let large = wait(&semaphore, &first, 3);
    let small = wait(&semaphore, &second, 1);

    semaphore.release(held[1], &holder.caller, 0);
    assert_eq!((first.granted(), second.granted()), (vec![], vec![]), "the first needs three, two are free");
    assert_eq!(semaphore.try_acquire(key(), ThreadId(9), (1, 1_000), true), Ok(None), "others wait");

    semaphore.release(held[0], &holder.caller, 0);
    assert_eq!((first.granted(), second.granted()), (vec![large], vec![]));
    assert!(confirm(&semaphore, &first, large));
    assert_eq!(semaphore.leave(key(), small, &second.caller, 0).own, []);
    let SemaphoreStats { held, waiting, acquired, refused, .. } = stats(&semaphore);
    assert_eq!((held, waiting, acquired, refused), (3, 0, 3, 1));
}

#[test]
fn calls_of_the_releasing_thread_have_their_permits_at_once() {
    let semaphore = of(2);
    let holder = calling(1);
    let held = take(&semaphore, &holder, 2);
    let waits = [wait(&semaphore, &holder, 1), wait(&semaphore, &holder, 1)];
    let served = semaphore.release(held, &holder.caller, 0);
    assert_eq!((served.own, served.watch, holder.events()), (waits.to_vec(), false, vec![]));
    assert_eq!(stats(&semaphore).acquired, 3);
}

#[test]
fn what_is_not_taken_in_time_goes_to_the_next_and_the_call_keeps_its_place() {
    let semaphore = of(1);
    let [holder, late, next] = [1, 2, 3].map(calling);
    let held = take(&semaphore, &holder, 1);
    let waits = [wait(&semaphore, &late, 1), wait(&semaphore, &late, 1)];
    let of_next = wait(&semaphore, &next, 1);
    assert!(semaphore.release(held, &holder.caller, 0).watch);

    let (again, served) = semaphore.look(key(), &next.caller, GRACE - 1);
    assert_eq!((again, served.own), (Some(GRACE), vec![]), "it still has time");
    let (again, served) = semaphore.look(key(), &next.caller, GRACE);
    assert_eq!((again, served.own), (None, vec![of_next]), "calls of a thread that is away are passed over");
    assert_eq!((stats(&semaphore).taken_back, stats(&semaphore).waiting), (1, 2));

    let Acquired::Waits { wait: newcomer, .. } = acquire(&semaphore, &next, 1) else {
        panic!("none is free")
    };
    assert_eq!(late.granted(), [waits[0]]);
    assert!(!confirm(&semaphore, &late, waits[0]), "it was taken back");
    let held = Hold { permits: 1, ..held };
    semaphore.release(held, &next.caller, GRACE);
    assert_eq!(late.granted(), [waits[0]], "its thread has looked, and it is the first");
    assert!(confirm(&semaphore, &late, waits[0]));
    semaphore.release(held, &late.caller, GRACE);
    assert_eq!(stats(&semaphore).waiting, 1);
    assert_eq!(semaphore.leave(key(), newcomer, &next.caller, 0).own, []);
}

#[test]
fn a_call_is_served_at_once_where_only_threads_that_are_away_wait() {
    let semaphore = of(1);
    let [holder, late, looking] = [1, 2, 3].map(calling);
    let held = take(&semaphore, &holder, 1);
    wait(&semaphore, &late, 1);
    wait(&semaphore, &late, 1);
    semaphore.release(held, &holder.caller, 0);
    semaphore.look(key(), &looking.caller, GRACE);
    assert_eq!(stats(&semaphore).held, 0);
    let serial = semaphore.try_acquire(key(), ThreadId(2), (1, 1_000), true).expect("open");
    assert_eq!(serial, None, "its own calls come before");
    assert!(matches!(acquire(&semaphore, &looking, 1), Acquired::Taken(_)));
}

#[test]
fn the_end_of_a_thread_returns_what_it_held_and_was_handed() {
    let semaphore = of(2);
    let [holder, ending, next] = [1, 2, 3].map(calling);
    let held = take(&semaphore, &holder, 1);
    take(&semaphore, &ending, 1);
    wait(&semaphore, &ending, 1);
    wait(&semaphore, &ending, 2);
    let last = wait(&semaphore, &next, 2);
    semaphore.release(held, &holder.caller, 0);
    assert_eq!(stats(&semaphore).per_thread, BTreeMap::from([(ThreadId(2), 2)]));

    semaphore.thread_ended(ending.thread());
    semaphore.thread_ended(ending.thread());
    assert_eq!(next.granted(), [last]);
    assert_eq!(stats(&semaphore).per_thread, BTreeMap::from([(ThreadId(3), 2)]));
}

#[test]
fn fewer_permits_wait_for_releases_and_give_up_calls_that_ask_for_more() {
    let semaphore = of(3);
    let [holder, large, small] = [1, 2, 3].map(calling);
    let held = [1, 1, 1].map(|permits| take(&semaphore, &holder, permits));
    let unmet = wait(&semaphore, &large, 3);
    let fits = wait(&semaphore, &small, 1);
    let set = |permits| {
        let change = |options: &mut SemaphoreOptions| {
            options.permits = permits;
            Ok(())
        };
        semaphore.reconfigure(change)
    };
    set(1).expect("valid");
    assert_eq!(large.events(), [SemaphoreEvent::Unmet { waits: vec![unmet], permits: 1 }]);
    for hold in &held[..2] {
        semaphore.release(*hold, &holder.caller, 0);
        assert_eq!(small.events(), []);
    }
    semaphore.release(held[2], &holder.caller, 0);
    assert_eq!(small.granted(), [fits]);
    assert_eq!(set(0).expect_err("out of range").code(), "INVALID_OPTION");
    assert_eq!(stats(&semaphore).permits, 1);
}

#[test]
fn more_permits_serve_the_line() {
    let semaphore = of(1);
    let [holder, waiting] = [1, 2].map(calling);
    take(&semaphore, &holder, 1);
    let wait = wait(&semaphore, &waiting, 1);
    let raise = |options: &mut SemaphoreOptions| {
        options.permits = 2;
        Ok(())
    };
    semaphore.reconfigure(raise).expect("valid");
    assert_eq!(waiting.granted(), [wait]);
}

#[test]
fn no_more_wait_than_may_over_all_keys() {
    let semaphore = bounded(1, 2);
    let caller = calling(1);
    let other = hash_str("other");
    take(&semaphore, &caller, 1);
    wait(&semaphore, &caller, 1);
    assert!(matches!(semaphore.acquire(other, &caller.caller, 1), Ok(Acquired::Taken(_))));
    assert!(matches!(semaphore.acquire(other, &caller.caller, 1), Ok(Acquired::Waits { .. })));
    assert_eq!(acquire(&semaphore, &caller, 1), Acquired::Full);
    let SemaphoreStats { waiting, keys, refused, .. } = stats(&semaphore);
    assert_eq!((waiting, keys, refused), (2, 2, 1));
}

#[test]
fn a_share_leaves_the_rest_to_others() {
    let semaphore = of(10);
    let acquire =
        |share| semaphore.try_acquire(key(), ThreadId(1), (1, share), true).expect("open").is_some();
    assert_eq!((0..10).filter(|_| acquire(500)).count(), 5);
    assert_eq!((0..10).filter(|_| acquire(900)).count(), 4);
    assert_eq!((0..10).filter(|_| acquire(1_000)).count(), 1);
    let small = of(1);
    assert!(small.try_acquire(key(), ThreadId(1), (1, 500), true).expect("open").is_some(), "rounded up");
}

#[test]
fn more_than_there_are_is_an_error_and_changes_nothing() {
    let semaphore = of(2);
    let error = semaphore.acquire(key(), &calling(1).caller, 3).expect_err("too many");
    assert_eq!(
        error.to_string(),
        "Semaphore acquire permits is 3; accepted: an integer from 1 to 2, the permits of \"test\""
    );
    assert_eq!(stats(&semaphore), SemaphoreStats { permits: 2, ..SemaphoreStats::default() });
}

#[test]
fn a_key_has_a_state_only_while_something_is_held_or_awaited() {
    let semaphore = of(1);
    let caller = calling(1);
    let held = take(&semaphore, &caller, 1);
    let wait = wait(&semaphore, &caller, 1);
    semaphore.release(held, &caller.caller, 0);
    assert_eq!(stats(&semaphore).keys, 1, "the call that waited holds the permit");
    assert_eq!(semaphore.leave(key(), wait, &caller.caller, 0).own, [], "it does not wait any more");
    semaphore.release(held, &caller.caller, 0);
    assert_eq!(stats(&semaphore).keys, 0);
}

#[test]
fn the_time_of_a_call_that_has_its_permit_is_not_over() {
    let semaphore = of(1);
    let [holder, late, gone] = [1, 2, 3].map(calling);
    let held = take(&semaphore, &holder, 1);
    let handed = wait(&semaphore, &late, 1);
    let expired = wait(&semaphore, &gone, 1);
    semaphore.release(held, &holder.caller, 0);
    assert!(semaphore.expire(key(), handed, &late.caller, 0).0);
    assert!(!semaphore.expire(key(), expired, &gone.caller, 0).0);
    let SemaphoreStats { held, waiting, refused, .. } = stats(&semaphore);
    assert_eq!((held, waiting, refused), (1, 0, 1));
}

#[test]
fn destroying_and_resetting_give_up_what_waits() {
    let semaphore = of(1);
    let [holder, first, second] = [1, 2, 3].map(calling);
    let held = take(&semaphore, &holder, 1);
    let waits = [wait(&semaphore, &first, 1), wait(&semaphore, &first, 1)];
    wait(&semaphore, &second, 1);
    Instance::reset(&semaphore);
    assert_eq!(first.events(), [SemaphoreEvent::Closed { waits: waits.to_vec(), is_reset: true }]);
    assert_eq!(second.events().len(), 1);
    assert_eq!(stats(&semaphore), SemaphoreStats { permits: 1, ..SemaphoreStats::default() });

    take(&semaphore, &second, 1);
    semaphore.release(held, &second.caller, 0);
    assert_eq!(stats(&semaphore).held, 1, "a permit of before the reset returns nothing");

    let wait = wait(&semaphore, &first, 1);
    Instance::close(&semaphore);
    assert_eq!(first.events(), [SemaphoreEvent::Closed { waits: vec![wait], is_reset: false }]);
    assert_eq!(semaphore.acquire(key(), &first.caller, 1).expect_err("closed").code(), "CLOSED");
    assert_eq!(semaphore.stats().expect_err("closed").code(), "CLOSED");
}
