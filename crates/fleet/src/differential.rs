//! The scripts against the algorithms of the core: random operations on a real server, decided once more at the server's
//! time. Seeded mistakes in the scripts are caught.

use std::collections::VecDeque;
use std::sync::Arc;

use redis::Connection;
use sluice_core::runtime::key_hash::{KeyHash, hash_str};
use sluice_core::{
    AlgorithmKind, Decision, LimitOptions, MAX_LIMITS, Quota, RateLimiter, RateLimiterConfig,
    RateLimiterOptions, Receipt, RemoteState, RemoteVerdict, RemoteWord,
};

use crate::composer::tests::name;
use crate::composer::{Batch, compose};
use crate::operation::Operation;
use crate::plan::{Limit, Plan, of_us};
use crate::reply::{EntryReply, Reply};
use crate::request::Request;
use crate::script::{ScriptKind, write_arguments};
use crate::test_server::TestServer;

mod tests;

/// The core keeps ends of windows and blocks to a sixteenth of a millisecond; the scripts to a microsecond.
const COARSE: u64 = 62_500;

/// Nanoseconds.
const US: u64 = 1_000;

/// No window of the cases is longer, in microseconds.
const LONGEST: u64 = 50_000;

struct Comparison {
    connection: Connection,
    plan: Arc<Plan>,
    model: RateLimiter,
    texts: [String; ScriptKind::ALL.len()],
    /// Keys of this comparison begin with it.
    run: String,
    is_coarse: bool,
    random: fastrand::Rng,
    /// The last charge: of which client, and what taking it back requires.
    last: Option<(String, u64, Receipt)>,
    /// The last units that were granted.
    granted: Option<Granted>,
    /// Whether the client was charged since.
    is_outdated: bool,
    /// A charge was taken back when its window settled, which the core rounds.
    undid_at_an_edge: bool,
}

/// Units that were granted, of which client, and how the server knows them.
#[derive(Clone, Debug)]
struct Granted {
    client: String,
    at: u64,
    units: [u64; MAX_LIMITS],
    states: [u64; MAX_LIMITS],
}

fn limit(algorithm: AlgorithmKind, limit: u64, window_ms: u64) -> LimitOptions {
    LimitOptions {
        name: format!("{algorithm} {limit}"),
        algorithm,
        ..LimitOptions::new(Quota::new(limit, window_ms))
    }
}

/// Limits of each kind, short enough for thousands of refills and windows in a second.
fn cases() -> Vec<Vec<LimitOptions>> {
    use AlgorithmKind::{FixedWindow, Gcra, SlidingWindow};
    let in_us = Quota { burst: Some(9_007_199), ..Quota::new(1_000, 1_000_000) };
    vec![
        vec![limit(Gcra, 7, 20)],
        vec![LimitOptions { name: "long".to_owned(), ..LimitOptions::new(in_us) }],
        vec![limit(FixedWindow, 9, 15)],
        // Enough that units are granted until a window ends, and others charged when the next one begins.
        vec![limit(FixedWindow, 300, 10)],
        vec![limit(SlidingWindow, 9, 12)],
        vec![limit(Gcra, 5, 10), limit(FixedWindow, 30, 40), limit(SlidingWindow, 12, 25)],
        vec![limit(Gcra, 8, 20), limit(Gcra, 30, 200)],
        vec![limit(FixedWindow, 30, 10), limit(Gcra, 60, 40), limit(FixedWindow, 90, 35)],
    ]
}

impl Comparison {
    fn new(
        server: &TestServer,
        limits: Vec<LimitOptions>,
        seed: u64,
        mutate: &dyn Fn(String) -> String,
    ) -> Self {
        let is_coarse = limits.iter().any(|limit| limit.algorithm == AlgorithmKind::FixedWindow);
        let config = RateLimiterConfig::try_from(RateLimiterOptions::new(limits)).expect("valid");
        let plan = Plan::new("api", "sluice:", Arc::new(config.clone())).expect("valid");
        Self {
            connection: server.connection(),
            plan: Arc::new(plan),
            model: RateLimiter::new("model", config),
            texts: ScriptKind::ALL.map(|script| mutate(script.text().to_owned())),
            run: format!("{seed}-{}", fastrand::u64(..)),
            is_coarse,
            random: fastrand::Rng::with_seed(seed),
            last: None,
            granted: None,
            is_outdated: false,
            undid_at_an_edge: false,
        }
    }

    /// The server's, for messages.
    fn version(&mut self) -> String {
        let info: String = redis::cmd("INFO").arg("server").query(&mut self.connection).expect("text");
        let lines = info.lines().filter(|line| line.contains("_version:"));
        lines.collect::<Vec<_>>().join(" ")
    }

    /// Runs so many operations; the first difference, if there is one.
    fn run(&mut self, operations: usize) -> Result<(), String> {
        for at in 0..operations {
            let client = format!("{}:{}", self.run, self.random.u8(..3));
            let operation = self.operation(&client);
            let calls = if matches!(operation, Operation::Take { .. }) { self.random.usize(1..4) } else { 1 };
            let batch = self.batch(&client, operation, calls);
            let (now, reply) = self.ask(&batch)?;
            self.note_change(&client, &operation, &reply);
            let key = hash_str(&client);
            let before = self.model.peek(key, now).expect("open");
            let compared = self.compare(&client, (operation, calls), now, &reply);
            if compared.is_err() || changes_unseen(&operation) {
                if self.is_at_an_edge(&before, now, &reply) {
                    self.start_anew(&client)?;
                } else if let Err(difference) = compared {
                    return Err(format!("operation {at}, {operation:?} x {calls}: {difference}"));
                }
            }
        }
        Ok(())
    }

    fn operation(&mut self, client: &str) -> Operation {
        let cost = self.random.u64(1..4);
        // Late enough for another window to run.
        if self.random.u8(..if self.is_coarse { 64 } else { 8 }) == 0
            && let Some((_, cost, receipt)) = self.last.as_ref().filter(|(of, ..)| of == client)
        {
            let (charged_at, settles) = (receipt.at / US, receipt.settles.map(|settles| settles / US));
            return Operation::Undo { cost: *cost, charged_at, settles };
        }
        // With windows mostly so late that another one runs, in which units were charged.
        if self.random.u8(..if self.is_coarse { 8 } else { 2 }) == 0
            && let Some(Granted { at, units, states, .. }) = self.granted_to(client)
        {
            return Operation::GiveBack { units: *units, at: *at, states: *states };
        }
        match self.random.u8(..20) {
            4..8 => {
                let (calls, beside) = (self.random.u64(..3), self.random.u64(..6));
                Operation::Lease { cost, calls, beside, spare: self.spare() }
            }
            0 => Operation::Penalize { cost },
            1 => Operation::Refund { cost },
            2 => Operation::Block { duration: self.random.u64(1..4) * 1_000 },
            3 => Operation::Reset,
            8..12 => Operation::Peek,
            _ => Operation::Take { cost },
        }
    }

    /// Units of each of several limits, as if they were held of it alone.
    fn spare(&mut self) -> [u64; MAX_LIMITS] {
        let mut spare = [0; MAX_LIMITS];
        if self.plan.has_several_limits() {
            spare[..self.plan.limits.len()].fill_with(|| self.random.u64(..12).saturating_sub(7));
        }
        spare
    }

    fn granted_to(&self, client: &str) -> Option<&Granted> {
        self.granted.as_ref().filter(|granted| granted.client == client)
    }

    /// What was granted can go back while nothing else was, or while its window runs.
    fn note_change(&mut self, client: &str, operation: &Operation, reply: &EntryReply) {
        if self.granted_to(client).is_none() {
            return;
        }
        match operation {
            Operation::Peek | Operation::GiveBack { .. } => {}
            Operation::Take { .. } => self.is_outdated |= reply.outcome > Some(0),
            _ => self.granted = None,
        }
    }

    /// Units that the server should take back of a limit.
    fn returns(&self, limit: &Limit, (doubles, now): (&[i64], u64), (units, state): (u64, u64)) -> u64 {
        let (now, at) = (now / US, |index: usize| doubles[index].max(0).unsigned_abs());
        match *limit {
            Limit::Gcra { .. } if self.is_outdated => 0,
            Limit::Gcra { interval, .. } => units.min(at(0) / interval),
            Limit::FixedWindow { .. } if now + at(1) != state => 0,
            Limit::FixedWindow { .. } => units.min(at(0)),
            Limit::SlidingWindow { window, .. } if now / window != state => 0,
            Limit::SlidingWindow { .. } => units.min(at(1)),
        }
    }

    /// Takes units back from one limit of the model.
    fn undo_of(&self, key: KeyHash, limit: usize, units: u64, now: u64) {
        let mut settles = [0; MAX_LIMITS];
        let is_sliding = matches!(self.plan.limits[limit], Limit::SlidingWindow { .. });
        // A sliding window knows its charges by when they were made; one of long ago is none of them.
        let at = if is_sliding { now } else { now - 3 * of_us(LONGEST) };
        if !is_sliding {
            settles[limit] = u64::MAX;
        }
        let receipt = Receipt { at, limit: self.plan.config.first_limit(), settles };
        self.model.undo(key, units, &receipt, now).expect("open");
    }

    /// What each limit has left beside the calls that were granted, by itself.
    fn left(&self, now: u64, words: &[RemoteWord], charged: u64) -> Vec<u64> {
        let limits = self.plan.config.options().limits.iter().zip(words);
        let left = limits.map(|(limit, word)| {
            let options = RateLimiterOptions::new(vec![limit.clone()]);
            let state = RemoteState { now, block: 0, words: &[*word] };
            let verdict = RemoteVerdict { allowed: true, cost: 1, charged };
            RateLimiterConfig::try_from(options).expect("valid").describe_remote(&state, verdict).remaining
        });
        left.collect()
    }

    /// What a lease should grant beside its calls, and charge each limit with it.
    fn beside(&self, reply: &EntryReply, left: &[u64], (wanted, spare): (u64, &[u64])) -> (u64, Vec<u64>) {
        let most = left.iter().zip(spare).map(|(left, spare)| left / 2 + spare).min().unwrap_or_default();
        let beside = if reply.block > 0 { 0 } else { wanted.min(most) };
        (beside, spare.iter().map(|spare| beside.saturating_sub(*spare)).collect())
    }

    /// One in so many charges is kept, to be taken back later: by then a window is over.
    fn charges_kept(&self) -> u8 {
        if self.is_coarse { 32 } else { 4 }
    }

    fn batch(&self, client: &str, operation: Operation, calls: usize) -> Batch {
        let request = Request::new(Arc::clone(&self.plan), name(client), operation);
        compose(&mut VecDeque::from(vec![request; calls]), false).expect("pending")
    }

    /// The server's clock in nanoseconds, and what became of the client.
    fn ask(&mut self, batch: &Batch) -> Result<(u64, EntryReply), String> {
        let mut command = redis::cmd("EVAL");
        command.arg(&self.texts[batch.script() as usize]);
        write_arguments(&mut command, batch, 0);
        let value = command.query(&mut self.connection).map_err(|error| error.to_string())?;
        match Reply::read(&value, batch) {
            Some(Reply::Done { now, entries }) => Ok((of_us(now), entries[0].clone())),
            other => Err(format!("{other:?}")),
        }
    }

    fn compare(
        &mut self,
        client: &str,
        (operation, calls): (Operation, usize),
        now: u64,
        reply: &EntryReply,
    ) -> Result<(), String> {
        let (key, config) = (hash_str(client), Arc::clone(&self.plan.config));
        let words = self.plan.read(&reply.doubles);
        let state = RemoteState { now, block: of_us(reply.block), words: &words };
        let outcome = reply.outcome.ok_or("foreign")?;
        match operation {
            Operation::Take { cost } => {
                let mut granted = 0;
                for _ in 0..calls {
                    let mine = self.model.consume(key, cost, now).expect("open");
                    let allowed = granted < outcome;
                    granted += u64::from(allowed);
                    let verdict = RemoteVerdict { allowed, cost, charged: granted * cost };
                    same(&mine, &config.describe_remote(&state, verdict))?;
                    // Mostly older ones, of which time has returned a part.
                    if mine.allowed && (self.last.is_none() || self.random.u8(..self.charges_kept()) == 0) {
                        // The script is told whole microseconds.
                        let settles = mine.receipt.settles.map(|settles| settles / US * US);
                        self.last = Some((client.to_owned(), cost, Receipt { settles, ..mine.receipt }));
                    }
                }
            }
            Operation::Lease { cost, calls, beside, spare } => {
                for call in 0..calls {
                    let mine = self.model.consume(key, cost, now).expect("open");
                    let allowed = call < outcome;
                    let charged = (call + 1).min(outcome) * cost;
                    let verdict = RemoteVerdict { allowed, cost, charged };
                    same(&mine, &config.describe_remote(&state, verdict))?;
                }
                let mut left = self.left(now, &words, outcome * cost);
                if let [left] = &mut left[..] {
                    *left = self.model.peek(key, now).expect("open").remaining;
                }
                let (expected, more) = self.beside(reply, &left, (beside, &spare));
                if expected != reply.beside {
                    return Err(format!("beside: {expected}, on the server {}", reply.beside));
                }
                let mut granted = Granted {
                    client: client.to_owned(),
                    at: now / US,
                    units: [0; MAX_LIMITS],
                    states: [0; MAX_LIMITS],
                };
                let limits = self.plan.by_limit(&reply.doubles).zip(more).enumerate();
                for (index, ((limit, own), more)) in limits {
                    granted.units[index] = outcome * cost + more;
                    let (_, id) = limit.grant_of(own, now / US, granted.units[index]);
                    granted.states[index] = id.state;
                }
                if expected > 0 {
                    self.model.learn(key, &state, &granted.units, now).expect("open");
                }
                self.granted = granted.units.iter().any(|units| *units > 0).then_some(granted);
                self.is_outdated = false;
            }
            Operation::GiveBack { .. } => {
                let Granted { units, states, .. } = self.granted.take().ok_or("nothing granted")?;
                let limits = self.plan.by_limit(&reply.doubles).zip(units.into_iter().zip(states));
                let expected: Vec<_> =
                    limits.map(|((limit, own), known)| self.returns(limit, (own, now), known)).collect();
                if expected != reply.returned || expected.iter().max() != Some(&outcome) {
                    return Err(format!("goes back: {expected:?}, on the server {:?}", reply.returned));
                }
                for (limit, units) in expected.into_iter().enumerate().filter(|(_, units)| *units > 0) {
                    self.undo_of(key, limit, units, now);
                }
            }
            Operation::Peek => {
                same(&self.model.peek(key, now).expect("open"), &config.foresee_remote(&state))?;
            }
            Operation::Penalize { cost } => self.model.penalize(key, cost, now).expect("open"),
            Operation::Refund { cost } => self.model.refund(key, cost, now).expect("open"),
            Operation::Block { duration } => {
                self.model.block(key, of_us(duration), now).expect("open");
            }
            Operation::Reset => {
                let removed = self.model.reset(key, now).expect("open");
                if removed != (outcome == 1) {
                    return Err(format!("removed {removed}, on the server {outcome}"));
                }
            }
            Operation::Announce => return Err("decides nothing".to_owned()),
            Operation::Undo { cost, .. } => {
                let (_, _, receipt) = self.last.take().ok_or("no charge")?;
                self.model.undo(key, cost, &receipt, now).expect("open");
                self.undid_at_an_edge =
                    self.is_coarse && receipt.settles.iter().any(|settles| settles.abs_diff(now) <= COARSE);
                if self.undid_at_an_edge {
                    return Err("a window settles".to_owned());
                }
            }
        }
        Ok(())
    }

    /// Whether a window or a block ends here within what the core rounds. A window's end may be hidden by a block's, or by
    /// that of another limit.
    fn is_at_an_edge(&mut self, before: &Decision, now: u64, reply: &EntryReply) -> bool {
        let ends = |left: u64| (1..=COARSE).contains(&left);
        let undid = std::mem::take(&mut self.undid_at_an_edge);
        let ends_block = ends(of_us(reply.block)) || before.retry_after.is_some_and(ends);
        let words = self.plan.read(&reply.doubles);
        let after = self.plan.config.foresee_remote(&RemoteState { now, block: 0, words: &words });
        let ends_window = self.plan.limits.iter().enumerate().any(|(index, limit)| {
            let ends = |decision: &Decision| ends(decision.receipt.settles[index].saturating_sub(now));
            matches!(limit, Limit::FixedWindow { .. }) && (ends(before) || ends(&after))
        });
        undid || ends_block || ends_window
    }

    fn start_anew(&mut self, client: &str) -> Result<(), String> {
        let batch = self.batch(client, Operation::Reset, 1);
        let (now, _) = self.ask(&batch)?;
        self.granted = None;
        self.model.reset(hash_str(client), now).expect("open");
        Ok(())
    }
}

/// Whether the comparison leaves out a part of what the operation changed. That part would differ later, when the edge that
/// excuses it is past.
fn changes_unseen(operation: &Operation) -> bool {
    !matches!(operation, Operation::Peek | Operation::Take { .. } | Operation::Reset)
}

fn same(mine: &Decision, theirs: &Decision) -> Result<(), String> {
    let close = |mine: u64, theirs: u64| mine.abs_diff(theirs) <= COARSE;
    let waits = match (mine.retry_after, theirs.retry_after) {
        (Some(mine), Some(theirs)) => close(mine, theirs),
        (mine, theirs) => mine == theirs,
    };
    let times = close(mine.reset_after, theirs.reset_after) && close(mine.more_after, theirs.more_after);
    let rest = |decision: &Decision| (decision.allowed, decision.policy, decision.limit, decision.remaining);
    if waits && times && rest(mine) == rest(theirs) { Ok(()) } else { Err(format!("{mine:?}\n{theirs:?}")) }
}
