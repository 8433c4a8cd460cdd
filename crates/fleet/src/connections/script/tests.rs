//! The script against a model of it: random calls of several processes on a real server. Seeded mistakes are caught.

use std::collections::HashMap;

use redis::Connection;

use super::*;
use crate::client_name::ClientName;
use crate::connections::book::Entry;
use crate::test_server::TestServer;

const CALLS: usize = 3_000;
const PROCESSES: usize = 3;

/// What the model knows of one process in one key.
#[derive(Clone, Copy, Debug)]
struct Row {
    process: usize,
    count: u64,
    ends: u64,
}

/// The script once more, in integers.
#[derive(Default)]
struct Model {
    rows: HashMap<String, Vec<Row>>,
}

impl Model {
    /// Connections of the others, whose rows stay.
    fn others(&mut self, key: &str, process: usize, (now, lease): (u64, u64)) -> u64 {
        let rows = self.rows.entry(key.to_owned()).or_default();
        for row in rows.iter_mut() {
            row.ends = row.ends.min(now + lease);
        }
        rows.retain(|row| row.process != process && row.ends > now);
        rows.iter().map(|row| row.count).sum()
    }

    fn write(&mut self, key: &str, process: usize, count: u64, ends: u64) {
        if count > 0 {
            self.rows.entry(key.to_owned()).or_default().push(Row { process, count, ends });
        }
    }

    fn call(&mut self, process: usize, batch: &Batch, terms: &Terms, now: u64) -> (u64, Grants) {
        let lease = terms.lease_us;
        let (most, most_of_client) = (terms.caps.0.unwrap_or(u64::MAX), terms.caps.1.unwrap_or(u64::MAX));
        let others = self.others("", process, (now, lease));
        let plain = batch.plain.min(most.saturating_sub(others + batch.held));
        let mut own = batch.held + plain;
        let mut entries = Vec::new();
        for entry in &batch.entries {
            let key = String::from_utf8(entry.client.bytes().to_vec()).expect("text");
            let of_others = self.others(&key, process, (now, lease));
            let free = most_of_client.saturating_sub(of_others + entry.held);
            let free_in_all = most.saturating_sub(others + own);
            let opened = entry.opens.min(free).min(free_in_all);
            let joined = entry.joins.min(free - opened);
            let is_all = opened < entry.opens && free > free_in_all;
            own += opened;
            self.write(&key, process, entry.held + opened + joined, now + lease);
            let cap = if is_all { Refusal::Max } else { Refusal::MaxPerClient };
            entries.push(Grant { opened: Some(opened), joined, cap });
        }
        self.write("", process, own, now + lease);
        (others + own, Grants { plain, entries })
    }
}

struct Comparison {
    connection: Connection,
    names: Vec<Names>,
    text: String,
    model: Model,
    random: fastrand::Rng,
    /// What each process holds of each client; the last is what counts for none.
    held: [[u64; 4]; PROCESSES],
}

impl Comparison {
    fn new(server: &TestServer, seed: u64, text: &str) -> Self {
        let name = format!("{seed}-{}", fastrand::u64(..));
        Self {
            connection: server.connection(),
            names: (0..PROCESSES).map(|_| Names::new("sluice:", &name)).collect(),
            text: text.to_owned(),
            model: Model::default(),
            random: fastrand::Rng::with_seed(seed),
            held: [[0; 4]; PROCESSES],
        }
    }

    /// The first difference, if there is one.
    fn run(&mut self) -> Result<(), String> {
        (0..CALLS).try_for_each(|at| self.step().map_err(|difference| format!("call {at}: {difference}")))
    }

    fn step(&mut self) -> Result<(), String> {
        let process = self.random.usize(..PROCESSES);
        let batch = self.batch(process);
        let cap = |random: &mut fastrand::Rng, most| random.bool().then(|| random.u64(1..most));
        let caps = (cap(&mut self.random, 14), cap(&mut self.random, 6));
        let lease_us = [1_000, 2_000, 50_000][self.random.usize(..3)];
        let is_late = self.random.u8(..16) == 0;
        let terms = Terms { lease_us, caps, deadline_us: u64::from(is_late) };
        let reply = self.ask(process, &batch, &terms)?;
        let (now, all, grants) = match reply {
            Reply::Late { .. } if is_late => return Ok(()),
            Reply::Done { now, all, grants } if !is_late => (now, all, grants),
            other => return Err(format!("{other:?}, late: {is_late}")),
        };
        let expected = self.model.call(process, &batch, &terms, now);
        // The cap is of interest only where it refuses.
        let shown = |(all, mut grants): (u64, Grants)| {
            for (grant, entry) in grants.entries.iter_mut().zip(&batch.entries) {
                if grant.opened == Some(entry.opens) {
                    grant.cap = Refusal::Max;
                }
            }
            (all, grants)
        };
        let (found, expected) = (shown((all, grants)), shown(expected));
        if found != expected {
            return Err(format!("{batch:?} by {terms:?}: {found:?} instead of {expected:?}"));
        }
        self.hold(process, &batch, &found.1);
        Ok(())
    }

    /// What the process holds, with some questions; now and then it has closed some before.
    fn batch(&mut self, process: usize) -> Batch {
        for held in &mut self.held[process] {
            if *held > 0 && self.random.u8(..3) == 0 {
                *held -= self.random.u64(1..=*held);
            }
        }
        let mut entries = Vec::new();
        for client in 0..3 {
            if self.random.bool() {
                let (opens, joins) = (self.random.u64(..4), self.random.u64(..2));
                let held = self.held[process][client];
                entries.push(Entry {
                    client: ClientName::of_text(&format!("c{client}")),
                    held,
                    opens,
                    joins,
                });
            }
        }
        let held = self.held[process].iter().sum();
        Batch { entries, held, plain: self.random.u64(..2), deadline: None }
    }

    fn hold(&mut self, process: usize, batch: &Batch, grants: &Grants) {
        let held = &mut self.held[process];
        held[3] += grants.plain;
        for (entry, grant) in batch.entries.iter().zip(&grants.entries) {
            let client = usize::from(entry.client.bytes()[1] - b'0');
            held[client] += grant.opened.unwrap_or_default();
        }
    }

    fn ask(&mut self, process: usize, batch: &Batch, terms: &Terms) -> Result<Reply, String> {
        let mut call = redis::cmd("EVAL");
        call.arg(&self.text);
        self.names[process].write(&mut call, batch, terms);
        let reply: Value = call.query(&mut self.connection).map_err(|error| error.to_string())?;
        Reply::read(&reply, batch.entries.len()).ok_or_else(|| format!("{reply:?}"))
    }
}

#[test]
fn decides_as_the_model_does() {
    for server in TestServer::start_each() {
        for seed in 0..8 {
            Comparison::new(&server, seed, TEXT)
                .run()
                .unwrap_or_else(|difference| panic!("{seed}: {difference}"));
        }
    }
}

#[test]
fn seeded_mistakes_are_caught() {
    let Some(server) = TestServer::start() else { return };
    for (right, wrong) in [
        ("clamped > now", "clamped > 0"),
        ("owner ~= process and ", ""),
        ("sum = sum + count", "sum = count"),
        ("local clamped = min(stop, now + lease)", "local clamped = stop"),
        ("own = own + opened", "own = own"),
        ("own = own + plain", ""),
        ("min(opens, free, free_in_all)", "min(opens, free)"),
        ("min(opens, free, free_in_all)", "min(opens, free_in_all)"),
        ("min(joins, free - opened)", "min(joins, free)"),
        ("held + opened + joined", "held + opened"),
        ("sum_of_others + held", "sum_of_others"),
        ("room(most, sum + own))\nown", "room(most, own))\nown"),
        ("now > deadline", "now < deadline"),
        ("free <= free_in_all", "free < free_in_all"),
    ] {
        let text = TEXT.replacen(right, wrong, 1);
        assert_ne!(text, TEXT, "{right}");
        let is_caught = (0..20).any(|seed| Comparison::new(&server, seed, &text).run().is_err());
        assert!(is_caught, "{right:?} instead of {wrong:?} is not noticed");
    }
}

#[test]
fn keys_hold_what_they_mean_and_end_by_themselves() {
    let Some(server) = TestServer::start() else { return };
    let mut comparison = Comparison::new(&server, 1, TEXT);
    let names = Names::new("p:", "edge");
    let entry = Entry { client: ClientName::of_text("a"), held: 0, opens: 2, joins: 0 };
    let batch = Batch { entries: vec![entry], held: 0, plain: 1, deadline: None };
    let terms = Terms { lease_us: 3_600_000_000, caps: (None, None), deadline_us: 0 };
    names.call(&batch, &terms, true).exec(&mut comparison.connection).expect("run");
    for (key, bytes) in [("p:1c:{c:edge}:all", 24), ("p:1c:{c:edge}:c:a", 24)] {
        let length: usize =
            redis::cmd("STRLEN").arg(key).query(&mut comparison.connection).expect("a number");
        let left: u64 = redis::cmd("PTTL").arg(key).query(&mut comparison.connection).expect("a number");
        assert_eq!(length, bytes, "{key}");
        assert!((3_590_000..=3_600_002).contains(&left), "{left}");
    }
    let nothing = Entry { client: ClientName::of_text("a"), held: 0, opens: 0, joins: 0 };
    let batch = Batch { entries: vec![nothing], held: 0, plain: 0, deadline: None };
    names.call(&batch, &terms, false).exec(&mut comparison.connection).expect("run");
    let keys: Vec<String> = redis::cmd("KEYS").arg("p:*").query(&mut comparison.connection).expect("keys");
    assert!(keys.is_empty(), "{keys:?}");
}

#[test]
fn what_others_have_written_is_left_as_it_is() {
    let Some(server) = TestServer::start() else { return };
    let mut connection = server.connection();
    let names = Names::new("p:", "edge");
    let entry = |client: &str| Entry { client: ClientName::of_text(client), held: 0, opens: 1, joins: 0 };
    let batch = Batch { entries: vec![entry("list"), entry("free")], held: 0, plain: 0, deadline: None };
    let terms = Terms { lease_us: 30_000_000, caps: (None, None), deadline_us: 0 };
    redis::cmd("LPUSH").arg("p:1c:{c:edge}:c:list").arg("x").exec(&mut connection).expect("set");
    let reply: Value = names.call(&batch, &terms, true).query(&mut connection).expect("run");
    let Some(Reply::Done { all, grants, .. }) = Reply::read(&reply, 2) else { panic!("{reply:?}") };
    assert_eq!((all, grants.entries[0].opened, grants.entries[1].opened), (1, None, Some(1)));
    redis::cmd("SET").arg("p:1c:{c:edge}:all").arg("foreign").exec(&mut connection).expect("set");
    let reply: Value = names.call(&batch, &terms, true).query(&mut connection).expect("run");
    assert!(matches!(Reply::read(&reply, 2), Some(Reply::Foreign { .. })), "{reply:?}");
}

#[test]
fn strange_replies_are_none() {
    let integers = |numbers: &[i64]| Value::Array(numbers.iter().map(|number| Value::Int(*number)).collect());
    for reply in [Value::Nil, Value::Int(1), integers(&[]), integers(&[1, 2, 3, 4]), integers(&[-1])] {
        assert_eq!(Reply::read(&reply, 1), None, "{reply:?}");
    }
    assert_eq!(Reply::read(&integers(&[7]), 1), Some(Reply::Late { now: 7 }));
}
