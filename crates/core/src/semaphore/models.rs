//! Every interleaving of small cases.

use std::sync::Arc;

use loom::thread;

use super::key_state::GRACE;
use super::*;
use crate::runtime::ThreadId;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::mailbox::{EventSink, SubscriptionId};
use crate::runtime::sync::Mutex;

/// A mailbox whose thread has not looked yet.
#[derive(Debug)]
struct Mail {
    thread: ThreadId,
    events: Mutex<Vec<SemaphoreEvent>>,
}

impl EventSink<SemaphoreEvent> for Mail {
    fn thread(&self) -> ThreadId {
        self.thread
    }

    fn push(&self, _: SubscriptionId, event: SemaphoreEvent) -> bool {
        self.events.lock().push(event);
        true
    }

    fn destroyed(&self, _: SubscriptionId) {}
}

#[derive(Clone)]
struct Calling {
    caller: SemaphoreCaller,
    mail: Arc<Mail>,
}

impl Calling {
    fn thread(&self) -> ThreadId {
        self.mail.thread
    }

    /// Takes what was handed to its calls; how many had it.
    fn take(&self, semaphore: &Semaphore) -> usize {
        let events = std::mem::take(&mut *self.mail.events.lock());
        let taken = events.into_iter().map(|event| {
            let SemaphoreEvent::Granted { wait } = event else { panic!("{event:?}") };
            let (taken, served) = semaphore.take(key(), wait, &self.caller, GRACE);
            usize::from(taken) + served.own.len()
        });
        taken.sum()
    }

    fn wait(&self, semaphore: &Semaphore) -> PermitWaitId {
        match semaphore.acquire(key(), &self.caller, 1) {
            Ok(Acquired::Waits { wait, .. }) => wait,
            other => panic!("{other:?}"),
        }
    }

    fn try_acquire(&self, semaphore: &Semaphore) -> Option<Hold> {
        let serial = semaphore.try_acquire(key(), self.thread(), (1, 1_000), true).expect("open")?;
        Some(Hold { key: key(), serial, permits: 1 })
    }
}

fn calling(thread: u64) -> Calling {
    let mail = Arc::new(Mail { thread: ThreadId(thread), events: Mutex::new(Vec::new()) });
    let mailbox: Arc<dyn EventSink<SemaphoreEvent>> = Arc::<Mail>::clone(&mail);
    Calling { caller: SemaphoreCaller { mailbox, subscription: 1 }, mail }
}

fn key() -> KeyHash {
    KeyHash::from_halves(0x1000, 0)
}

fn mutex(max_waiting: u64) -> Arc<Semaphore> {
    let options = SemaphoreOptions { max_waiting, ..SemaphoreOptions::new(1) };
    Arc::new(Semaphore::new("model", options.try_into().expect("valid")))
}

fn held(semaphore: &Semaphore) -> u64 {
    semaphore.stats().expect("open").held
}

fn both(first: impl FnOnce() + Send + 'static, second: impl FnOnce() + Send + 'static) {
    let threads = [thread::spawn(first), thread::spawn(second)];
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// The permit is handed to a call whose thread ends meanwhile: the next call gets it.
#[test]
fn a_permit_handed_to_a_thread_that_ends_is_passed_on() {
    check(|| {
        let semaphore = mutex(9);
        let [holder, ending, next] = [1, 2, 3].map(calling);
        let hold = holder.try_acquire(&semaphore).expect("free");
        ending.wait(&semaphore);
        next.wait(&semaphore);
        let (releasing, leaving) = (Arc::clone(&semaphore), Arc::clone(&semaphore));
        both(
            move || drop(releasing.release(hold, &holder.caller, 0)),
            move || leaving.thread_ended(ending.thread()),
        );
        assert_eq!((next.take(&semaphore), held(&semaphore)), (1, 1));
    });
}

/// The receiver takes its permit while another thread takes it back: one of them has it.
#[test]
fn a_permit_that_is_taken_is_not_taken_back() {
    check(|| {
        let semaphore = mutex(9);
        let [holder, late, next] = [1, 2, 3].map(calling);
        let hold = holder.try_acquire(&semaphore).expect("free");
        let _ = (late.wait(&semaphore), next.wait(&semaphore));
        semaphore.release(hold, &holder.caller, 0);
        let (taking, looking) = (Arc::clone(&semaphore), Arc::clone(&semaphore));
        let (of_late, of_next) = (late.clone(), next.clone());
        let taken = thread::spawn(move || of_late.take(&taking));
        let looked = thread::spawn(move || looking.look(key(), &of_next.caller, GRACE).1.own.len());
        let taken = taken.join().expect("no panic") + looked.join().expect("no panic");
        let taken = taken + late.take(&semaphore) + next.take(&semaphore);
        assert_eq!((taken, held(&semaphore)), (1, 1));
    });
}

/// A permit that was reset is returned while another thread takes one: that one stays held.
#[test]
fn a_permit_of_before_a_reset_returns_nothing() {
    check(|| {
        let semaphore = mutex(9);
        let [holder, other] = [1, 2].map(calling);
        let hold = holder.try_acquire(&semaphore).expect("free");
        let (releasing, resetting) = (Arc::clone(&semaphore), Arc::clone(&semaphore));
        let of_holder = holder.clone();
        both(move || drop(releasing.release(hold, &of_holder.caller, 0)), move || resetting.empty(true));
        assert!(holder.try_acquire(&semaphore).is_some());
        semaphore.release(hold, &holder.caller, 0);
        assert_eq!((held(&semaphore), other.try_acquire(&semaphore)), (1, None));
    });
}

/// A call that comes while the permit is returned takes it, or it is handed to it.
#[test]
fn a_call_next_to_a_release_gets_the_permit() {
    check(|| {
        let semaphore = mutex(9);
        let [holder, coming] = [1, 2].map(calling);
        let hold = holder.try_acquire(&semaphore).expect("free");
        let (releasing, acquiring) = (Arc::clone(&semaphore), Arc::clone(&semaphore));
        let of_coming = coming.clone();
        let acquired = thread::spawn(move || acquiring.acquire(key(), &of_coming.caller, 1).expect("open"));
        let released = thread::spawn(move || drop(releasing.release(hold, &holder.caller, 0)));
        released.join().expect("no panic");
        match acquired.join().expect("no panic") {
            Acquired::Taken(_) => {}
            Acquired::Waits { .. } => assert_eq!(coming.take(&semaphore), 1),
            Acquired::Full => panic!("there is room"),
        }
        assert_eq!(held(&semaphore), 1);
    });
}

/// A call leaves while the permit is handed to it: it is free, or the next call has it.
#[test]
fn a_permit_handed_to_a_call_that_leaves_is_passed_on() {
    check(|| {
        let semaphore = mutex(9);
        let [holder, leaving, next] = [1, 2, 3].map(calling);
        let hold = holder.try_acquire(&semaphore).expect("free");
        let wait = leaving.wait(&semaphore);
        next.wait(&semaphore);
        let (releasing, ending) = (Arc::clone(&semaphore), Arc::clone(&semaphore));
        both(
            move || drop(releasing.release(hold, &holder.caller, 0)),
            move || drop(ending.leave(key(), wait, &leaving.caller, 0)),
        );
        assert_eq!((next.take(&semaphore), held(&semaphore)), (1, 1));
    });
}

/// No more calls wait than may, however many come at once.
#[test]
fn one_of_two_calls_waits_in_a_line_of_one() {
    check(|| {
        let semaphore = mutex(1);
        let hold = calling(1).try_acquire(&semaphore).expect("free");
        let waits = [2, 3].map(|number| {
            let (semaphore, calling) = (Arc::clone(&semaphore), calling(number));
            thread::spawn(move || semaphore.acquire(key(), &calling.caller, 1).expect("open"))
        });
        let acquired = waits.map(|wait| wait.join().expect("no panic"));
        assert_eq!(acquired.iter().filter(|one| **one == Acquired::Full).count(), 1, "{acquired:?}");
        assert_eq!(hold.permits, 1);
    });
}
