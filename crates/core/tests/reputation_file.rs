//! What a reputation saves, and what it believes.

use proptest::prelude::*;
use sluice_core::{FOREVER, Reputation, ReputationOptions, Verdict};

const MS: u64 = 1_000_000;
const MINUTE: u64 = 60_000 * MS;
/// Some day; no rule may depend on which.
const NOW: u64 = 1_700_000_000_000 * MS;
const A: &str = "203.0.113.7";
const B: &str = "203.0.113.8";

/// Length of what stands before the content of a file.
const HEADER: usize = 24;

/// Three failures in ten minutes ban for one minute, at most for an hour.
fn options() -> ReputationOptions {
    ReputationOptions::new(3, 600_000, 60_000, 3_600_000)
}

fn reputation(options: ReputationOptions) -> Reputation {
    Reputation::with_chance("test", options.try_into().expect("valid"), || 0.0)
}

fn fail(reputation: &Reputation, ip: &str, now: u64) -> Verdict {
    reputation.record_failure(ip, 1, None, now).expect("open")
}

fn check(reputation: &Reputation, ip: &str, now: u64) -> Verdict {
    reputation.check(ip, now).expect("open")
}

/// Fails until banned; returns after how many failures, and for how long.
fn fail_until_banned(reputation: &Reputation, ip: &str, now: u64) -> (u32, u64) {
    for failures in 1.. {
        let verdict = fail(reputation, ip, now);
        if verdict.banned {
            return (failures, verdict.retry_after(now));
        }
    }
    unreachable!("failures ban");
}

fn save(reputation: &Reputation, now: u64) -> Vec<u8> {
    reputation.save(now, 0).expect("open")
}

/// One of everything that is saved.
fn eventful() -> Reputation {
    let reputation = reputation(options());
    reputation.record_failure(A, 3, Some("ärger"), NOW).expect("open");
    fail(&reputation, B, NOW);
    fail(&reputation, B, NOW + MINUTE);
    reputation.ban("2001:db8::1", None, None, NOW).expect("open");
    reputation.ban("10.0.0.0/8", Some(MINUTE), Some("range"), NOW).expect("open");
    reputation.ban("2001:db8:ff::/48", None, Some(""), NOW).expect("open");
    reputation
}

#[test]
fn what_is_saved_is_known_again() {
    let saver = eventful();
    let now = NOW + MINUTE / 2;
    let loader = reputation(options());
    loader.load(&save(&saver, now), "file", now, 0).expect("whole");
    for (ip, time) in
        [(A, now), (A, NOW + MINUTE), (B, NOW + MINUTE), (B, NOW + 10 * MINUTE), ("2001:db8::2", now)]
    {
        assert_eq!(check(&loader, ip, time), check(&saver, ip, time), "{ip}");
    }
    assert_eq!(loader.bans(now), saver.bans(now));
    assert_eq!(loader.bans(now).expect("open").len(), 4);
    assert_eq!(fail_until_banned(&loader, A, NOW + MINUTE), (2, 2 * MINUTE), "the second ban");
    assert_eq!(check(&loader, "203.0.113.99", now), check(&saver, "203.0.113.99", now));
}

#[test]
fn a_file_keeps_dates_where_the_clock_of_another_process_differs() {
    let saver = eventful();
    let bytes = saver.save(NOW, (5_000 * MINUTE).cast_signed()).expect("open");
    let loader = reputation(options());
    // Its clock is behind by 5000 minutes, its date is ten seconds on.
    let now = NOW + 5_000 * MINUTE + MINUTE / 6;
    loader.load(&bytes, "file", now, 0).expect("whole");
    assert_eq!(check(&loader, A, now).retry_after(now), MINUTE * 5 / 6);
    assert_eq!(check(&loader, "2001:db8::1", now).until, Some(FOREVER));
    assert_eq!(check(&loader, B, now + 9 * MINUTE).failures, 2, "a failure ahead of the date is of now");
}

#[test]
fn loading_adds_and_twice_changes_nothing() {
    let bytes = save(&eventful(), NOW + MINUTE / 2);
    let now = NOW + MINUTE / 2;
    let loader = reputation(options());
    loader.ban(A, Some(5 * MINUTE), Some("longer"), now).expect("open");
    loader.record_failure(B, 1, None, now).expect("open");
    loader.ban("10.0.0.0/8", Some(5 * MINUTE), Some("longer"), now).expect("open");
    fail(&loader, "198.51.100.1", now);
    let mut told = None;
    for _ in 0..3 {
        loader.load(&bytes, "file", now, 0).expect("whole");
        let ips = [A, B, "10.1.1.1", "198.51.100.1", "2001:db8::1"];
        let verdicts = ips.map(|ip| check(&loader, ip, now + MINUTE / 2));
        assert_eq!(verdicts[0].until, Some(now + 5 * MINUTE), "the later end holds");
        assert_eq!((verdicts[0].bans, verdicts[0].reason.as_deref()), (1, Some("longer")));
        assert_eq!((verdicts[1].failures, verdicts[3].failures), (2, 1));
        assert_eq!(verdicts[2].reason.as_deref(), Some("longer"));
        assert!(verdicts[4].banned);
        assert_eq!(*told.get_or_insert(verdicts.clone()), verdicts);
    }
}

#[test]
fn where_there_are_too_few_places_bans_are_loaded_first() {
    let saver = reputation(options());
    for n in 0..100 {
        fail(&saver, &format!("10.0.0.{n}"), NOW);
        reputation_ban(&saver, &format!("10.0.1.{n}"));
    }
    let loader = reputation(ReputationOptions { max_clients: 100, ..options() });
    loader.load(&save(&saver, NOW), "file", NOW, 0).expect("whole");
    let stats = loader.stats(NOW).expect("open");
    assert_eq!((stats.size, stats.banned, stats.untracked), (100, 100, 100));
}

fn reputation_ban(reputation: &Reputation, ip: &str) {
    assert_eq!(reputation.ban(ip, Some(MINUTE), None, NOW), Ok(true));
}

#[test]
fn a_file_that_is_not_whole_is_refused_and_changes_nothing() {
    let bytes = save(&eventful(), NOW);
    let loader = eventful();
    let before = save(&loader, NOW);
    let refuses = |bytes: &[u8], code: &str| {
        let error = loader.load(bytes, "bans.bin", NOW, 0).expect_err("not whole");
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().starts_with("bans.bin "), "{error}");
    };
    for length in 0..bytes.len() {
        refuses(&bytes[..length], "CORRUPT_FILE");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let is_version = (8..12).contains(&(bit / 8));
        refuses(&flipped, if is_version { "UNSUPPORTED_VERSION" } else { "CORRUPT_FILE" });
    }
    refuses(&[&bytes[..], &[0]].concat(), "CORRUPT_FILE");
    refuses(b"{ \"bans\": [] }, which is a file of something else", "CORRUPT_FILE");
    let zeros = vec![0; bytes.len()];
    refuses(&zeros, "CORRUPT_FILE");
    assert_eq!(save(&loader, NOW).len(), before.len());
    assert_eq!(loader.bans(NOW), eventful().bans(NOW));
}

proptest! {
    /// With a checksum that is right, so that the content is read.
    #[test]
    fn no_content_makes_it_panic(content: Vec<u8>, at in 0_usize..200, byte: u8) {
        let mut bytes = save(&eventful(), NOW);
        let known = bytes.len() - HEADER;
        bytes[HEADER + at % known] = byte;
        for mut file in [bytes.clone(), [&bytes[..HEADER], &content].concat()] {
            let length = (file.len() - HEADER) as u64;
            let checksum = crc32fast::hash(&file[HEADER..]);
            file[12..16].copy_from_slice(&checksum.to_le_bytes());
            file[16..24].copy_from_slice(&length.to_le_bytes());
            let loader = reputation(options());
            if let Err(error) = loader.load(&file, "file", NOW, 0) {
                prop_assert_eq!(error.code(), "CORRUPT_FILE");
            }
            for ip in [A, B, "10.1.1.1", "2001:db8::1"] {
                let _ = (check(&loader, ip, NOW), fail(&loader, ip, NOW), loader.unban(ip, NOW));
            }
            let _ = (save(&loader, NOW), loader.bans(NOW), loader.stats(NOW));
        }
    }
}
