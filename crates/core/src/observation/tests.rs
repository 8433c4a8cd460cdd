use super::ranking::MINUTE;
use super::*;
use crate::runtime::key_hash::hash_str;

fn observed(reason: Reason, text: &str) -> Observed<'_> {
    Observed { reason, source: "api", key: hash_str(text), text }
}

fn calls(ranked: &Ranked) -> u32 {
    ranked.minutes.iter().sum()
}

#[test]
fn ranks_clients_over_all_threads_exactly_while_there_is_room() {
    let observation = Observation::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for call in 0..1_000_u32 {
                    let client = format!("192.0.2.{}", call % 10);
                    let reason = if call % 10 < 3 { Reason::Quota } else { Reason::Admitted };
                    observation.observe(&observed(reason, &client), call % 10 + 1, 0);
                }
            });
        }
    });
    let clients = observation.clients.lock().top(100, 0);
    let found: Vec<_> = clients.iter().map(|one| (one.text.as_str(), calls(one), one.refused)).collect();
    let expected = |n: u32| (8 * 100 * (n + 1), if n < 3 { 8 * 100 * (n + 1) } else { 0 });
    for (place, n) in (0..10).rev().enumerate() {
        let (all, refused) = expected(n);
        assert_eq!(found[place], (format!("192.0.2.{n}").as_str(), all, refused));
    }
    let offenders = observation.offenders.lock().top(100, 0);
    assert_eq!(offenders.iter().map(calls).collect::<Vec<_>>(), [2_400, 1_600, 800]);
    assert!(offenders.iter().all(|one| one.error == 0 && one.is_whole && one.reason == Reason::Quota));
}

/// Fails where the newcomer inherits nothing: the heavy client would then be evicted for counts that are too low.
#[test]
fn keeps_a_heavy_client_among_many_and_bounds_each_error() {
    let mut ranking = Ranking::new();
    let (mut all, mut heavy) = (0_u32, 0);
    for call in 0..200_000_u32 {
        let is_heavy = call % 100 == 0;
        let client = if is_heavy { "heavy".to_owned() } else { format!("client {}", call % 7_919) };
        ranking.add(&observed(Reason::Quota, &client), 1, 0);
        all += 1;
        heavy += u32::from(is_heavy);
    }
    let top = ranking.top(CAPACITY, 0);
    assert_eq!(top.len(), CAPACITY);
    let found =
        top.iter().find(|one| one.text == "heavy").expect("a client with more than N / CAPACITY calls");
    assert!(calls(found) >= heavy && calls(found) - found.error <= heavy);
    let bound = all / u32::try_from(CAPACITY).expect("small");
    assert!(top.iter().all(|one| one.error <= bound), "no error is above {bound}");
    assert_eq!(top.iter().map(calls).sum::<u32>(), all, "counts are moved, never lost");
}

#[test]
fn forgets_calls_after_ten_minutes() {
    let mut ranking = Ranking::new();
    let start = 1_000 * MINUTE;
    for minute in 0..4 {
        ranking.add(&observed(Reason::Quota, "a"), minute + 1, start + u64::from(minute) * MINUTE);
    }
    let after = |minutes| start + minutes * MINUTE;
    assert_eq!(ranking.top(1, after(3))[0].minutes, [0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    assert_eq!(ranking.top(1, after(10))[0].minutes, [2, 3, 4, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(ranking.top(1, after(13)), []);
}

#[test]
fn tells_reasons_and_sources_apart_and_forgets_a_client() {
    let mut ranking = Ranking::new();
    ranking.add(&observed(Reason::Quota, "a"), 3, 0);
    ranking.add(&observed(Reason::Ban, "a"), 2, 0);
    ranking.add(&Observed { source: "login", ..observed(Reason::Quota, "a") }, 1, 0);
    let of = |ranking: &mut Ranking| -> Vec<_> {
        ranking.top(9, 0).into_iter().map(|one| (one.reason, one.source, one.refused)).collect()
    };
    let (api, login) = ("api".to_owned(), "login".to_owned());
    assert_eq!(
        of(&mut ranking),
        [(Reason::Quota, api.clone(), 3), (Reason::Ban, api, 2), (Reason::Quota, login.clone(), 1)]
    );
    assert!(ranking.forget("api", "a"));
    assert_eq!(of(&mut ranking), [(Reason::Quota, login, 1)]);
    assert!(!ranking.forget("api", "b"));
}

#[test]
fn says_where_a_key_is_not_whole() {
    let mut ranking = Ranking::new();
    let key = hash_str("a long key");
    ranking.add(&Observed { reason: Reason::Quota, source: "api", key, text: "a lon" }, 1, 0);
    assert!(!ranking.top(1, 0)[0].is_whole);
}

#[test]
fn starts_once_and_is_emptied_by_a_reset() {
    let observation = Observation::new();
    assert!(!observation.is_on());
    assert!(observation.start() && !observation.start());
    observation.observe(&observed(Reason::Quota, "a"), 1, 0);
    observation.journal.lock().add("{}".into(), None);
    observation.threads.lock().report(ThreadId(1), ThreadLoad::default());
    observation.reset();
    assert!(observation.is_on() && observation.clients.lock().top(1, 0).is_empty());
    assert!(observation.journal.lock().since(0).is_empty());
    observation.thread_ended(ThreadId(1), 0);
    assert!(observation.threads.lock().all().is_empty());
}

#[test]
fn a_client_that_comes_back_after_the_window_is_seen_since_then() {
    let mut ranking = Ranking::new();
    ranking.add(&observed(Reason::Quota, "client"), 1, 0);
    let back = MINUTE * 20;
    ranking.add(&observed(Reason::Quota, "client"), 1, back);
    ranking.add(&observed(Reason::Quota, "client"), 1, back + MINUTE);
    let top = ranking.top(1, back + MINUTE);
    assert_eq!(top[0].seen, (back, back + MINUTE));
}
