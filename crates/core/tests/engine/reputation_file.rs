//! `Reputation`: saved files, and what loading them accepts.

use proptest::prelude::*;
use sluice_core::{FOREVER, Reputation, ReputationOptions};

use crate::support::reputation::*;

/// Length of the header before the content of a file.
const HEADER: usize = 24;

fn save(reputation: &Reputation, now: u64) -> Vec<u8> {
    reputation.save(now, 0).expect("open")
}

/// A reputation with one of everything that is saved.
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
fn loading_restores_what_was_saved() {
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
fn dates_hold_if_the_clock_of_the_loading_process_differs() {
    let saver = eventful();
    let bytes = saver.save(NOW, (5_000 * MINUTE).cast_signed()).expect("open");
    let loader = reputation(options());
    // The saver's clock is behind by 5000 minutes; ten seconds pass until the load.
    let now = NOW + 5_000 * MINUTE + MINUTE / 6;
    loader.load(&bytes, "file", now, 0).expect("whole");
    assert_eq!(check(&loader, A, now).retry_after(now), MINUTE * 5 / 6);
    assert_eq!(check(&loader, "2001:db8::1", now).until, Some(FOREVER));
    assert_eq!(
        check(&loader, B, now + 9 * MINUTE).failures,
        2,
        "a failure dated in the future counts from now"
    );
}

#[test]
fn loading_merges_and_is_idempotent() {
    let bytes = save(&eventful(), NOW + MINUTE / 2);
    let now = NOW + MINUTE / 2;
    let loader = reputation(options());
    loader.ban(A, Some(5 * MINUTE), Some("longer"), now).expect("open");
    loader.record_failure(B, 1, None, now).expect("open");
    loader.ban("10.0.0.0/8", Some(5 * MINUTE), Some("longer"), now).expect("open");
    fail(&loader, "198.51.100.1", now);
    let mut first = None;
    for _ in 0..3 {
        loader.load(&bytes, "file", now, 0).expect("whole");
        let ips = [A, B, "10.1.1.1", "198.51.100.1", "2001:db8::1"];
        let verdicts = ips.map(|ip| check(&loader, ip, now + MINUTE / 2));
        assert_eq!(verdicts[0].until, Some(now + 5 * MINUTE), "the later end holds");
        assert_eq!((verdicts[0].bans, verdicts[0].reason.as_deref()), (1, Some("longer")));
        assert_eq!((verdicts[1].failures, verdicts[3].failures), (2, 1));
        assert_eq!(verdicts[2].reason.as_deref(), Some("longer"));
        assert!(verdicts[4].banned);
        assert_eq!(*first.get_or_insert(verdicts.clone()), verdicts);
    }
}

#[test]
fn with_too_few_slots_bans_are_loaded_first() {
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
fn a_corrupt_file_is_an_error_and_changes_nothing() {
    let bytes = save(&eventful(), NOW);
    let loader = eventful();
    let before = save(&loader, NOW);
    let refuses = |bytes: &[u8], code: &str| {
        let error = loader.load(bytes, "bans.bin", NOW, 0).expect_err("corrupt");
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
    refuses(b"{ \"bans\": [] }, a file of another program", "CORRUPT_FILE");
    let zeros = vec![0; bytes.len()];
    refuses(&zeros, "CORRUPT_FILE");
    assert_eq!(save(&loader, NOW).len(), before.len());
    assert_eq!(loader.bans(NOW), eventful().bans(NOW));
}

proptest! {
    /// The checksum is correct, so that the content is read.
    #[test]
    fn no_content_makes_load_panic(content: Vec<u8>, at in 0_usize..200, byte: u8) {
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
