//! Comparisons of whole runs, mistakes that they must find, and what every script keeps to.

use super::*;

const OPERATIONS: usize = 4_000;

/// When operations meet depends on the speed of the machine: a mistake has so many chances to show.
const ROUNDS: usize = 40;

#[test]
fn the_scripts_of_each_server_decide_as_the_core_does() {
    for server in TestServer::start_each() {
        for (index, limits) in cases().into_iter().enumerate() {
            let mut comparison = Comparison::new(&server, limits, 7 + index as u64, &|text| text);
            let version = comparison.version();
            comparison.run(OPERATIONS).unwrap_or_else(|why| panic!("{version}, case {index}: {why}"));
        }
    }
}

/// In words of the scripts: what is replaced, and by what.
const MISTAKES: [(&str, &str); 33] = [
    ("debt + granted * cost * interval", "debt + granted * interval"),
    ("debt = debt - (now - at) * per_us", "debt = debt"),
    ("if cost > 1 then granted", "if false then granted"),
    ("if granted > calls then granted = calls end", ""),
    ("if block == 0 then\n      granted", "if true then\n      granted"),
    ("if block > 0 then granted = -1 - block end", ""),
    ("calls = ARGV[7 + width * (i - 1)] + 0", "calls = 1"),
    ("w[p] - elapsed * third[l]", "w[p] - elapsed"),
    ("max(first[l] - w[p], 0)", "max(first[l] - w[p] + 1, 0)"),
    ("if windows == 1 then w[p], w[p + 1] = w[p + 1], 0", "if windows == 1 then w[p], w[p + 1] = 0, 0"),
    ("local product = w[p] * ahead", "local product = w[p] * 0"),
    ("weighted = weighted + 1 end", "end"),
    ("charge(l, w, outcome * two)", "charge(l, w, outcome)"),
    ("w[p + 1] = max(0, w[p] - left), max(0, w[p + 1] - units)", "w[p + 1] = w[p], max(0, w[p + 1] - units)"),
    ("w[p] = max(0, min(w[p], first[l]) - units)", "w[p] = 0"),
    ("block = max(block, two)", "block = two"),
    ("(settles - now) * third[l]", "second[l]"),
    ("if now < settles then w[p]", "if true then w[p]"),
    ("if windows == 1 then w[p] = max(0, w[p] - units) end", ""),
    ("floor((rooms[l] - outcome * two) / 2)", "rooms[l] - outcome * two"),
    ("charge(l, w, outcome * two + max(0, beside - spare(l, given)))", "charge(l, w, outcome * two)"),
    ("floor(rooms[l] / two)", "rooms[l]"),
    ("outcome = min(outcome, floor(rooms[l] / two))", "outcome = min(one, floor(rooms[l] / two))"),
    ("if stored[1] ~= at or stored[2 + p] ~= state then return 0 end", ""),
    ("(stored[1] + stored[3 + p] == state) and", "true and"),
    ("floor(now / second[l]) == state and", "true and"),
    ("/ 2) + spare(l, given))", "/ 2))"),
    ("max(0, beside - spare(l, given))", "beside"),
    ("ARGV[given + 3 + l] + 0 or 0", "ARGV[given + 4] + 0 or 0"),
    ("stored[2 + p] ~= state", "stored[3] ~= state"),
    ("w[p] = w[p] - back[l] *", "w[p] = w[p] - outcome *"),
    ("written, block_then = at, stored[2]", "written, block_then = now, block"),
    ("outcome = min(outcome, floor(room(l, w) / two))", "outcome = max(outcome, floor(room(l, w) / two))"),
];

#[test]
fn each_seeded_mistake_is_caught() {
    let Some(server) = TestServer::start() else { return };
    for (right, wrong) in MISTAKES {
        assert!(ScriptKind::ALL.iter().any(|script| script.text().contains(right)), "no script says {right}");
        let mutate = |text: String| text.replace(right, wrong);
        let is_caught = (0..ROUNDS).flat_map(|_| cases()).enumerate().any(|(index, limits)| {
            Comparison::new(&server, limits, 40 + index as u64, &mutate).run(OPERATIONS).is_err()
        });
        assert!(is_caught, "not caught: {right} as {wrong}");
    }
}

#[test]
fn after_its_deadline_a_script_changes_nothing() {
    let Some(server) = TestServer::start() else { return };
    for limits in cases() {
        let mut comparison = Comparison::new(&server, limits, 1, &|text| text);
        for operation in [Operation::Take { cost: 1 }, Operation::Penalize { cost: 1 }] {
            let client = format!("{}:late", comparison.run);
            let batch = comparison.batch(&client, operation, 1);
            let mut command = redis::cmd("EVAL");
            command.arg(batch.script().text());
            write_arguments(&mut command, &batch, 1);
            let value = command.query(&mut comparison.connection).expect("a reply");
            assert!(matches!(Reply::read(&value, &batch), Some(Reply::Late { .. })));
            let (_, reply) = comparison.ask(&comparison.batch(&client, Operation::Peek, 1)).expect("a reply");
            assert!(reply.doubles.iter().all(|double| *double == 0), "{operation:?}");
        }
    }
}

#[test]
fn a_key_of_another_kind_is_neither_read_nor_overwritten() {
    let Some(server) = TestServer::start() else { return };
    for limits in cases() {
        let mut comparison = Comparison::new(&server, limits, 2, &|text| text);
        let client = format!("{}:theirs", comparison.run);
        for (set, kind) in [("LPUSH", "list"), ("SET", "string")] {
            let key = comparison.plan.key_of(&name(&client));
            let () = redis::cmd("DEL").arg(&key).query(&mut comparison.connection).expect("deleted");
            let () = redis::cmd(set).arg(&key).arg("theirs").query(&mut comparison.connection).expect("set");
            for operation in [Operation::Take { cost: 1 }, Operation::Peek, Operation::Block { duration: 5 }]
            {
                let batch = comparison.batch(&client, operation, 1);
                let (_, reply) = comparison.ask(&batch).expect("a reply");
                assert_eq!(reply.outcome, None, "{operation:?} of a {kind}");
            }
            let is: String = redis::cmd("TYPE").arg(&key).query(&mut comparison.connection).expect("a type");
            assert_eq!(is, kind);
        }
    }
}

#[test]
fn every_key_expires() {
    let Some(server) = TestServer::start() else { return };
    for mut limits in cases() {
        // So that no key expires before it is looked at.
        limits.iter_mut().for_each(|limit| limit.quota.window_ms = limit.quota.window_ms.max(60_000));
        let mut comparison = Comparison::new(&server, limits, 3, &|text| text);
        let operations = [
            Operation::Take { cost: 1 },
            Operation::Penalize { cost: 1 },
            Operation::Block { duration: 3_600_000_000 },
        ];
        for operation in operations {
            let client = format!("{}:{}", comparison.run, operation.name());
            comparison.ask(&comparison.batch(&client, operation, 1)).expect("a reply");
            let key = comparison.plan.key_of(&name(&client));
            let left: i64 = redis::cmd("PTTL").arg(&key).query(&mut comparison.connection).expect("a time");
            let least = if operation.name() == "block" { 3_590_000 } else { 1 };
            assert!(left >= least, "{operation:?}: {left} ms");
        }
    }
}
