use std::sync::Barrier;
use std::thread;

use super::*;

/// The answers that were left on it, and how often it was rung.
#[derive(Default)]
struct Answers {
    left: Mutex<Vec<(u64, Answer)>>,
    rings: AtomicU64,
}

impl Desk for Answers {
    fn put(&self, ticket: u64, answer: Answer) {
        self.left.lock().push((ticket, answer));
    }

    fn ring(&self) {
        self.rings.fetch_add(1, Ordering::Relaxed);
    }
}

fn ticket(desk: &Arc<Answers>, number: u64) -> Ticket {
    Ticket { desk: Arc::clone(desk) as Arc<dyn Desk>, number }
}

fn left(desk: &Arc<Answers>) -> Vec<(u64, Answer)> {
    std::mem::take(&mut *desk.left.lock())
}

#[test]
fn calls_are_answered_when_the_link_becomes_ready() {
    let (status, desk) = (LinkStatus::new(LinkState::Connecting), Arc::default());
    for number in 1..=2 {
        assert_eq!(status.ready(ticket(&desk, number)), None);
    }
    assert!(status.set_state(LinkState::Away));
    assert_eq!(left(&desk), [], "not yet");
    assert!(status.set_state(LinkState::Ready));
    assert_eq!(left(&desk), [(1, Answer::Ready), (2, Answer::Ready)]);
    assert_eq!(desk.rings.load(Ordering::Relaxed), 1, "once for both");
    assert!(!status.set_state(LinkState::Ready));
    assert_eq!(status.ready(ticket(&desk, 3)), Some(Answer::Ready));
    assert_eq!(left(&desk), [], "it was answered at once");
}

#[test]
fn a_link_that_is_away_again_is_awaited_again() {
    let (status, desk) = (LinkStatus::new(LinkState::Ready), Arc::default());
    assert!(status.set_state(LinkState::Away));
    assert_eq!(status.ready(ticket(&desk, 1)), None);
    assert_eq!(status.state(), LinkState::Away);
}

#[test]
fn what_was_withdrawn_is_not_answered() {
    let (status, desk, other) = (LinkStatus::new(LinkState::Connecting), Arc::default(), Arc::default());
    assert_eq!(status.ready(ticket(&desk, 1)), None);
    assert_eq!(status.ready(ticket(&other, 1)), None);
    let of = |desk: &Arc<Answers>| Arc::clone(desk) as Arc<dyn Desk>;
    assert!(!status.withdraw(&of(&desk), 2), "another number");
    assert!(status.withdraw(&of(&desk), 1));
    assert!(!status.withdraw(&of(&desk), 1), "once");
    status.set_state(LinkState::Ready);
    assert_eq!((left(&desk), left(&other)), (vec![], vec![(1, Answer::Ready)]));
    assert!(!status.withdraw(&of(&other), 1), "it was answered");
}

#[test]
fn closing_answers_what_is_awaited_and_all_that_comes_later() {
    let (status, desk) = (LinkStatus::new(LinkState::Connecting), Arc::default());
    assert_eq!(status.ready(ticket(&desk, 1)), None);
    assert!(status.close());
    assert!(status.is_closing());
    assert_eq!(left(&desk), [(1, CLOSED)]);
    assert!(!status.close(), "it was closed before");
    status.set_state(LinkState::Ready);
    assert_eq!(status.ready(ticket(&desk, 2)), Some(CLOSED), "also while the connection lasts");
    assert_eq!(left(&desk), []);
}

#[test]
fn what_ends_without_answers_leaves_them_pending() {
    let (status, desk) = (LinkStatus::new(LinkState::Connecting), Arc::default());
    assert_eq!(status.ready(ticket(&desk, 1)), None);
    assert!(status.end() && status.is_closing());
    assert_eq!(left(&desk), []);
}

#[test]
fn keeps_the_last_of_several_errors() {
    let status = LinkStatus::new(LinkState::Connecting);
    status.failed("first".to_owned());
    status.failed("second".to_owned());
    let last_error = Some("second".to_owned());
    assert_eq!(status.known(), Known { last_error, ..Known::default() });
    assert_eq!((status.commands(), status.connections(), status.round_trip()), (0, 0, None));
}

/// Fails where `ready` looks at the state before it has the lock.
#[test]
fn each_call_is_answered_once_whenever_the_link_becomes_ready_or_closes() {
    const ROUNDS: u64 = 2_000;
    for round in 0..ROUNDS {
        let (status, desk) = (LinkStatus::new(LinkState::Connecting), Arc::<Answers>::default());
        let (barrier, closes) = (Barrier::new(2), round % 2 == 0);
        let at_once = thread::scope(|scope| {
            let asking = scope.spawn(|| {
                barrier.wait();
                status.ready(ticket(&desk, 1))
            });
            barrier.wait();
            if closes {
                status.close();
            } else {
                status.set_state(LinkState::Ready);
            }
            asking.join().expect("no panic")
        });
        let expected = if closes { CLOSED } else { Answer::Ready };
        let later = left(&desk);
        assert_eq!(at_once.is_some(), later.is_empty(), "round {round}: never, or twice");
        assert!(later.into_iter().map(|(_, answer)| answer).chain(at_once).all(|answer| answer == expected));
    }
}
