//! Lines next to calls that take no lock, under every interleaving.

use loom::thread;

use super::*;
use crate::rate_limiter::options::RateLimiterOptions;
use crate::rate_limiter::{AlgorithmKind, RateLimiter, WaitingThread};
use crate::runtime::ThreadId;
use crate::runtime::clock::MS;

const START: u64 = 1_000_000 * MS;
const WINDOW: u64 = 20;

#[derive(Debug)]
struct Thread(u64);

impl WaitingThread for Thread {
    fn id(&self) -> ThreadId {
        ThreadId(self.0)
    }

    fn wake(&self) {}
}

type Shared = Arc<RateLimiter>;
type Call = Box<dyn FnOnce(&Shared) -> u64 + Send>;

fn key() -> KeyHash {
    KeyHash::from_halves(0x1000, 0)
}

fn waits(thread: u64) -> Arc<Waits> {
    Arc::new(Waits::new(Box::new(Thread(thread))))
}

/// Joins the line of the key; the units that were charged at once.
fn join(limiter: &Shared, waits: &Arc<Waits>, now: u64) -> u64 {
    let request = WaitRequest { waits, cost: 1, now, latest: u64::MAX, counts_refusal: true };
    u64::from(matches!(limiter.join(key(), &request).expect("open"), WaitStart::Served(_)))
}

fn consume(limiter: &Shared, now: u64) -> u64 {
    u64::from(limiter.try_consume(key(), 1, now).expect("open"))
}

/// A limiter of one key, with a window of so many units.
fn limiter(algorithm: AlgorithmKind, limit: u64) -> Shared {
    let options = RateLimiterOptions { max_keys: 1, ..RateLimiterOptions::by(algorithm, limit, WINDOW) };
    Arc::new(RateLimiter::new("model", options.try_into().expect("valid")))
}

/// Runs each call in a thread of its own, all at once; what they answered, in order.
fn at_once(limiter: &Shared, calls: impl IntoIterator<Item = Call>) -> Vec<u64> {
    let spawn = |call: Call| {
        let limiter = Arc::clone(limiter);
        thread::spawn(move || call(&limiter))
    };
    let threads: Vec<_> = calls.into_iter().map(spawn).collect();
    threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
}

fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// The units that are charged at `now` and before: at once, and by the calls that wait.
fn charged_by(at_once: &[u64], all: &[Arc<Waits>], now: u64) -> u64 {
    let waited = all.iter().map(|waits| {
        let mut outcomes = Vec::new();
        waits.take(|| now, usize::MAX, &mut outcomes);
        outcomes.len() as u64
    });
    at_once.iter().sum::<u64>() + waited.sum::<u64>()
}

const ALGORITHMS: [AlgorithmKind; 2] = [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow];

/// A call joins while another asks for the last unit, at once or, with a later clock, in the time to come.
#[test]
fn nothing_is_charged_before_the_last_moment_of_a_line() {
    for (algorithm, later) in ALGORITHMS.into_iter().flat_map(|of| [(of, 0), (of, MS)]) {
        bounded(2, move || {
            let (limiter, one) = (limiter(algorithm, 2), waits(1));
            assert_eq!(consume(&limiter, START), 1);
            let mut charged = vec![1];
            let joined: Call = {
                let one = Arc::clone(&one);
                Box::new(move |limiter| join(limiter, &one, START) + join(limiter, &one, START))
            };
            let tried: Call = Box::new(move |limiter| consume(limiter, START + later));
            charged.extend(at_once(&limiter, [joined, tried]));
            // One unit was left, and the first of the next comes after this.
            assert_eq!(charged_by(&charged, &[one], START + later), 2);
        });
    }
}

/// Two calls join, the first to wait.
#[test]
fn two_calls_that_begin_a_line_stand_in_one() {
    for algorithm in ALGORITHMS {
        bounded(2, move || {
            let (limiter, all) = (limiter(algorithm, 1), [waits(1), waits(2)]);
            assert_eq!(consume(&limiter, START), 1);
            let calls = all.iter().map(|waits| -> Call {
                let waits = Arc::clone(waits);
                Box::new(move |limiter| join(limiter, &waits, START))
            });
            let charged = at_once(&limiter, calls.collect::<Vec<_>>());
            assert_eq!(charged_by(&charged, &all, START + WINDOW * MS), 1);
            assert_eq!(charged_by(&[], &all, START + 2 * WINDOW * MS), 1);
        });
    }
}

/// A call leaves while another, by a later clock, asks for what comes after the line.
#[test]
fn a_call_that_leaves_next_to_a_newcomer_gives_back_what_is_not_used() {
    for algorithm in ALGORITHMS {
        bounded(2, move || {
            let (limiter, one) = (limiter(algorithm, 1), waits(1));
            assert_eq!(consume(&limiter, START), 1);
            assert_eq!(join(&limiter, &one, START), 0);
            let moment = START + WINDOW * MS;
            let leaving: Call = {
                let one = Arc::clone(&one);
                Box::new(move |limiter| {
                    limiter.end_waits_of(ThreadId(1), START);
                    charged_by(&[], &[one], START)
                })
            };
            let newcomer: Call = Box::new(move |limiter| consume(limiter, moment));
            let charged = at_once(&limiter, [leaving, newcomer]);
            let charged = charged_by(&charged, &[one], moment);
            assert!(charged + consume(&limiter, moment) <= 1, "one unit is there by then");
        });
    }
}

/// The units that a refund returns are given to the call that waits, or are there for another: not to both.
#[test]
fn a_refund_next_to_the_first_call_of_a_line_is_before_it() {
    for algorithm in ALGORITHMS {
        bounded(2, move || {
            let (limiter, one) = (limiter(algorithm, 1), waits(1));
            assert_eq!(consume(&limiter, START), 1);
            let joined: Call = {
                let one = Arc::clone(&one);
                Box::new(move |limiter| join(limiter, &one, START))
            };
            let refund: Call = Box::new(|limiter| {
                limiter.refund(key(), 1, START).expect("open");
                0
            });
            let charged = at_once(&limiter, [joined, refund]);
            assert_eq!(charged_by(&charged, &[Arc::clone(&one)], START), 1);
            assert_eq!(consume(&limiter, START), 0, "it was given away");
            assert_eq!(consume(&limiter, START + WINDOW * MS), 1);
        });
    }
}

#[test]
fn a_block_next_to_the_first_call_of_a_line_moves_it() {
    for algorithm in ALGORITHMS {
        bounded(2, move || {
            let (limiter, one) = (limiter(algorithm, 1), waits(1));
            assert_eq!(consume(&limiter, START), 1);
            let joined: Call = {
                let one = Arc::clone(&one);
                Box::new(move |limiter| join(limiter, &one, START))
            };
            let block: Call = Box::new(|limiter| {
                assert!(limiter.block(key(), 5 * WINDOW * MS, START).expect("open"));
                0
            });
            assert_eq!(at_once(&limiter, [joined, block]), [0, 0]);
            assert_eq!(charged_by(&[], &[Arc::clone(&one)], START + 4 * WINDOW * MS), 0);
            assert_eq!(charged_by(&[], &[one], START + 5 * WINDOW * MS), 1);
        });
    }
}

/// Whichever comes first, the line is that of the new options, and nothing is charged before its last call.
#[test]
fn a_line_next_to_a_reconfiguration_is_laid_anew() {
    for algorithm in ALGORITHMS {
        bounded(2, move || {
            let (limiter, one) = (limiter(algorithm, 1), waits(1));
            assert_eq!(consume(&limiter, START), 1);
            let joined: Call = {
                let one = Arc::clone(&one);
                Box::new(move |limiter| join(limiter, &one, START) + join(limiter, &one, START))
            };
            let reconfigure: Call = Box::new(move |limiter| {
                let options = RateLimiterOptions::by(algorithm, 1, WINDOW / 2);
                let options = RateLimiterOptions { max_keys: 1, ..options };
                limiter.reconfigure(options, || START).expect("valid");
                0
            });
            at_once(&limiter, [joined, reconfigure]);
            let all = [one];
            let half = WINDOW / 2 * MS;
            assert_eq!(charged_by(&[], &all, START + half), 1);
            assert_eq!(charged_by(&[], &all, START + 2 * half), 1);
            assert_eq!(consume(&limiter, START + 2 * half), 0, "the second call has charged it");
            assert_eq!(consume(&limiter, START + 3 * half), 1);
        });
    }
}
