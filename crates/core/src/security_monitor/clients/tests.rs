//! The bound, and which clients are evicted.

use super::samples::{address, record, rule};
use super::*;

fn knows(clients: &Clients, client: u32) -> bool {
    clients.existing(address(client).into(), |_| ()).is_some()
}

#[test]
fn the_client_nearest_to_an_alert_stays_longest() {
    let (clients, rules) = (Clients::new(8), rule(4));
    for (client, events) in [(1, 3), (2, 1), (3, 2), (4, 1), (5, 3), (6, 2), (7, 4), (8, 2)] {
        (0..events).for_each(|_| _ = record(&clients, client, &rules, u64::from(client)));
    }
    let mut gone = Vec::new();
    for new in 9..=15 {
        (0..3).for_each(|_| _ = record(&clients, new, &rules, 9));
        gone.extend(
            (1..=8).filter(|client| !gone.contains(client) && !knows(&clients, *client)).collect::<Vec<_>>(),
        );
    }
    // In order: one event; two events or an alert; three events. Of equals, the one that was seen last stays.
    assert_eq!(gone, [2, 4, 3, 6, 7, 8, 1]);
    assert_eq!((clients.count(), clients.evictions()), (8, 7));
}

#[test]
fn a_flood_does_not_evict_clients_near_an_alert() {
    let (clients, rules) = (Clients::new(1_000), rule(5));
    for near in 0..50 {
        (0..4).for_each(|_| _ = record(&clients, near, &rules, 0));
    }
    for client in 1_000..101_000 {
        record(&clients, client, &rules, 1);
    }
    assert_eq!((0..50).filter(|near| record(&clients, *near, &rules, 2) == 1).count(), 50);
    assert_eq!(clients.count(), 1_000);
    assert_eq!(clients.evictions(), 100_000 - 950);
}

#[test]
fn a_client_without_events_in_the_window_goes_first() {
    let (clients, rules) = (Clients::new(2), rule(5));
    (0..4).for_each(|_| _ = record(&clients, 1, &rules, 0));
    record(&clients, 2, &rules, 50);
    record(&clients, 3, &rules, 100);
    assert_eq!([1, 2, 3].map(|client| knows(&clients, client)), [false, true, true]);
}

#[test]
fn stays_within_its_bound_under_contention() {
    let (clients, rules) = (Clients::new(50), rule(1_000));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (clients, rules) = (&clients, &rules);
            scope.spawn(move || {
                (0..2_000).for_each(|i| _ = record(clients, (i * 7 + thread) % 300, rules, 0));
            });
        }
    });
    let held: usize = clients.buckets.made().map(|bucket| bucket.lock().len()).sum();
    assert_eq!((held, clients.count()), (50, 50));
}
