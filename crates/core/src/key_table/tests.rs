//! What the table promises, for keys whose only word is the time at which they expire.

use super::*;
use crate::key_table::cell::{Several, Single};
use crate::runtime::arena::tests::mapping;
use crate::runtime::clock::MS;
use crate::runtime::key_hash::{KeyHash, hash_str};

fn table(max_keys: usize, overflow: Overflow) -> Table<Single> {
    Table::new(max_keys, overflow, &Arena::default(), |_| Ok(Single)).expect("room")
}

fn lifetime(words: &[u64; 1], now: u64) -> u64 {
    words[0].saturating_sub(now)
}

fn set(table: &Table<Single>, key: &str, now: u64, expiry: u64) -> Result<(), Full> {
    set_hashed(table, hash_str(key), now, expiry)
}

fn set_hashed(table: &Table<Single>, key: KeyHash, now: u64, expiry: u64) -> Result<(), Full> {
    table.update(key, now, lifetime, |_, _| Step::Write([expiry], ()))
}

/// The same hashes each time, as random ones would be.
fn hashes() -> impl Iterator<Item = KeyHash> {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(move || KeyHash::from_halves(random.u64(..), random.u64(..)))
}

fn holds(table: &Table<Single>, key: &str) -> bool {
    table.get(hash_str(key)).is_some()
}

#[test]
fn an_expired_key_is_evicted_before_a_live_one() {
    let table = table(3, Overflow::Evict);
    for (key, expiry) in [("a", 500), ("b", 100), ("c", 300)] {
        set(&table, key, 0, expiry).expect("room");
    }
    set(&table, "d", 100, 900).expect("b has expired");
    assert!(!holds(&table, "b"));
    assert_eq!(table.live_evictions(), 0);

    set(&table, "e", 100, 900).expect("evicts");
    assert!(!holds(&table, "c"), "the key closest to its full quota is evicted");
    assert_eq!(table.live_evictions(), 1);
    assert_eq!(table.count(100, lifetime), (3, 0));
}

/// Keys that expired less than a second ago keep their slots while others have been expired for longer.
#[test]
fn a_key_that_has_just_expired_is_spared_while_another_vacancy_exists() {
    const SECOND: u64 = 1_000 * MS;
    let table = table(3, Overflow::Evict);
    for (key, expiry) in [("a", 2 * SECOND - 2), ("b", SECOND), ("c", 2 * SECOND - 1)] {
        set(&table, key, 0, expiry).expect("room");
    }
    let at = 2 * SECOND;
    set(&table, "d", at, 9 * SECOND).expect("b has expired a second ago");
    assert!(holds(&table, "a") && holds(&table, "c") && !holds(&table, "b"));
    set(&table, "e", at, 9 * SECOND).expect("one of the others has expired");
    assert_eq!([holds(&table, "a"), holds(&table, "c")].iter().filter(|holds| **holds).count(), 1);
    assert_eq!(table.live_evictions(), 0);
}

#[test]
fn keys_that_came_before_a_flood_are_found_at_the_first_look() {
    const FOR_EVER: u64 = (1 << 62) - 1;
    let table = table(100_000, Overflow::Evict);
    let mut hashes = hashes();
    let known: Vec<_> = hashes.by_ref().take(1_000).collect();
    known.iter().for_each(|key| set_hashed(&table, *key, 0, FOR_EVER).expect("room"));
    hashes.take(60_000).for_each(|key| set_hashed(&table, key, 0, MS).expect("room"));
    assert!(table.slots.is_crowded());
    let found = known.iter().filter(|key| {
        let candidates = table.slots.candidates(**key);
        table.slots.find_likely(&candidates).is_some()
    });
    assert!(found.count() > 950);
}

#[test]
fn blocked_keys_are_never_evicted() {
    let table = table(2, Overflow::Evict);
    for key in ["a", "b"] {
        table.block(hash_str(key), 1_000_000, 0, lifetime).expect("room");
    }
    assert_eq!(set(&table, "c", 10, 50), Err(Full { earliest_vacancy: 1_000_000 }));
    assert_eq!(table.count(10, lifetime), (2, 2));
    set(&table, "c", 1_000_000, 2_000_000).expect("a block has ended");
}

#[test]
fn a_full_table_denies_new_keys_under_deny() {
    let table = table(1, Overflow::Deny);
    set(&table, "a", 0, 100).expect("room");
    assert_eq!(set(&table, "b", 99, 100), Err(Full { earliest_vacancy: 100 }));
    set(&table, "b", 100, 200).expect("a has expired");
}

/// Without the watermark, a thread with an old clock finds its key absent and admits it twice.
#[test]
fn a_new_key_counts_from_the_watermark() {
    let table = table(1, Overflow::Evict);
    set(&table, "a", 1_000, 1_100).expect("room");
    set(&table, "b", 1_150, 1_151).expect("a has expired");
    let decided_by = table.update(hash_str("a"), 1_001, lifetime, |_, now| Step::Write([now + 9], now));
    assert_eq!(decided_by, Ok(1_150));
}

/// A small table holds exactly `maxKeys`, also under contention.
#[test]
fn a_small_table_stays_within_its_bound_under_contention() {
    let table = table(50, Overflow::Evict);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let table = &table;
            scope.spawn(move || {
                for i in 0..5_000_u64 {
                    let key = ((i * 7 + thread) % 300).to_string();
                    match i % 11 {
                        0 => drop(table.reset(hash_str(&key))),
                        _ => set(table, &key, i, i + 10_000).expect("evicts"),
                    }
                }
            });
        }
    });
    let (live, _) = table.count(0, lifetime);
    assert!(live <= 50, "{live}");
    for i in 0..500 {
        set(&table, &format!("late {i}"), 5_000, 20_000).expect("evicts");
    }
    assert_eq!(table.count(5_000, lifetime), (50, 0), "no place was lost");
}

/// Each new key arrives when another has expired, with as many live keys as the table was made for. How many new keys
/// evicted a live one, of `newcomers`.
fn evictions(clients: u64, newcomers: u64) -> u64 {
    let table = table(clients as usize, Overflow::Evict);
    for (i, key) in (0..newcomers).zip(hashes()) {
        set_hashed(&table, key, i, i + clients).expect("evicts");
    }
    let (live, _) = table.count(newcomers, lifetime);
    assert!(live >= clients - clients / 1_000, "{live}");
    table.live_evictions()
}

/// The largest table without a near part, whose slots would come on top.
#[test]
fn a_table_in_steady_use_evicts_almost_no_live_key() {
    let evictions = evictions(22_932, 200_000);
    assert!(evictions < 200, "fewer than one in a thousand: {evictions}");
}

#[test]
fn a_large_table_in_steady_use_evicts_even_fewer() {
    let evictions = evictions(40_000, 160_000);
    assert!(evictions < 20, "{evictions}");
}

/// Most look-ups end in the line that they read first.
#[test]
fn most_keys_of_a_full_table_are_at_home() {
    const CLIENTS: usize = 22_932;
    let table = table(CLIENTS, Overflow::Evict);
    let keys: Vec<_> = hashes().take(CLIENTS).collect();
    keys.iter().for_each(|key| set_hashed(&table, *key, 0, 1_000).expect("evicts"));
    let is_at_home = |key: &&KeyHash| table.slots.find_likely(&table.slots.candidates(**key)).is_some();
    let at_home = keys.iter().filter(is_at_home).count();
    assert!(at_home * 100 > CLIENTS * 75, "{at_home}");
    let kept = keys.iter().filter(|key| table.get(**key).is_some()).count();
    assert_eq!(CLIENTS - kept, table.live_evictions() as usize);
}

/// A flood of keys that never return leaves the table as large as it was, and each of them gets a slot.
#[test]
fn each_key_of_a_flood_gets_a_slot() {
    let table = table(20_000, Overflow::Evict);
    for i in 0..200_000_u64 {
        set_hashed(&table, hash_str(&i.to_string()), i, i + 1_000_000).expect("evicts");
    }
    let (live, _) = table.count(0, lifetime);
    assert!(live <= table.capacity() as u64 && table.live_evictions() >= 200_000 - live, "{live}");
}

#[test]
fn reset_and_clear_remove_the_key_and_free_its_place() {
    let table = table(2, Overflow::Deny);
    for round in 0..40_000 {
        set(&table, "a", round, round + 10).expect("room");
        assert_eq!(table.reset(hash_str("a")).map(|client| client.words), Some([round + 10]));
        assert!(!holds(&table, "a") && table.reset(hash_str("a")).is_none());
    }
    table.block(hash_str("a"), 1_000_000, 0, lifetime).expect("room");
    set(&table, "b", 0, 10).expect("room");
    table.clear();
    assert_eq!(table.count(0, lifetime), (0, 0));
    for key in ["c", "d"] {
        set(&table, key, 0, 10).expect("room");
    }
}

/// Calls for one key of several limits disturb each other's reads: however often, each is charged where the key is.
#[test]
fn a_key_that_others_charge_meanwhile_is_charged_in_its_slot() {
    let several = |slots| Several::new(slots, 2, &Arena::default());
    let table = Table::new(8, Overflow::Evict, &Arena::default(), several).expect("room");
    let key = hash_str("key");
    let live = |words: &[u64; 6], now: u64| words[0].saturating_sub(now);
    let charge = |client: &Client<[u64; 6]>| {
        let mut words = client.words;
        words[0] += 1;
        Step::Write(words, words[0])
    };
    table.update(key, 0, live, |_, _| Step::Write([1_000, 0, 0, 0, 0, 0], ())).expect("room");
    let found = table.slots.find(&table.slots.candidates(key)).expect("inserted");
    assert_eq!(table.update_existing(key, charge), Some(1_001));
    // This call looked for the key before.
    assert_eq!(table.change(found, charge), Some(1_002));
}

/// The same table in the memory of two processes.
fn two_of_one_mapping(max_keys: usize) -> [Table<Single>; 2] {
    let table = |arena: &Arena| Table::new(max_keys, Overflow::Evict, arena, |_| Ok(Single)).expect("room");
    let measure = Arena::measure();
    drop(table(&measure));
    let mapping = mapping(measure.taken());
    [(); 2].map(|()| table(&Arena::in_mapping(std::sync::Arc::clone(&mapping))))
}

#[test]
fn processes_find_the_keys_of_each_other() {
    let [first, second] = two_of_one_mapping(100);
    set(&first, "key", 0, 10).expect("room");
    assert_eq!(second.get(hash_str("key")), first.get(hash_str("key")));
    assert!(second.reset(hash_str("key")).is_some() && first.get(hash_str("key")).is_none());
    assert_eq!(first.capacity(), first.slots.count(), "no count, which a kill would leave wrong");
}

/// Most keys went to the far part in another process.
#[test]
fn a_process_follows_where_others_find_room() {
    let [first, second] = two_of_one_mapping(60_000);
    for key in 0..50_000 {
        set(&first, &key.to_string(), 0, 10).expect("room");
    }
    assert!(first.slots.is_crowded() && !second.slots.is_crowded(), "not known yet");
    let elsewhere = |key: &String| {
        let candidates = second.slots.candidates(hash_str(key));
        second.slots.find_likely(&candidates).is_none() && second.slots.find(&candidates).is_some()
    };
    let key = (0..50_000).map(|key| key.to_string()).find(elsewhere).expect("one in the far part");
    set(&second, &key, 0, 20).expect("room");
    assert!(second.slots.is_crowded());
    second.clear();
    assert!(!second.slots.is_crowded() && first.get(hash_str(&key)).is_none());
}

/// A process was killed after it took the mark of a block, and another one in the middle of an insert.
#[test]
fn a_repair_mends_what_the_killed_have_left() {
    let table = table(100, Overflow::Evict);
    let (blocked, inserted) = (hash_str("blocked"), table.slots.candidates(hash_str("inserted")));
    table.block(blocked, 1_000 * MS, 0, lifetime).expect("room");
    let found = table.slots.find(&table.slots.candidates(blocked)).expect("blocked");
    assert!(found.slot.state.swap_if(found.state, found.state.without_block()).is_ok());
    let claim = table.claim(&inserted, vacancy::Arrival { now: 0, fresh: 10 }, &lifetime);
    assert!(claim.expect("room").is_some());

    assert_eq!(table.get(blocked).expect("there").blocked_until, 0);
    assert_eq!(table.repair(999 * MS), (1, 1));
    assert_eq!(table.get(blocked).expect("there").blocked_until, 1_000 * MS);
    assert!(table.standing_claim(&inserted).is_none());
    assert_eq!(table.repair(999 * MS), (0, 0));
    set(&table, "inserted", 0, 10).expect("room");
    // A block that has ended needs no mark.
    let found = table.slots.find(&table.slots.candidates(blocked)).expect("blocked");
    assert!(found.slot.state.swap_if(found.state, found.state.without_block()).is_ok());
    assert_eq!(table.repair(1_000 * MS), (0, 0));
}
