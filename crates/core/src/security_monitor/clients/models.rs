//! Every interleaving of small cases.
//!
//! Planted bugs, each tried once: looking for a client under one lock and admitting it under another fails the first
//! model; leaving out the second look-up, after a place was made, fails the third.

use loom::sync::Arc;
use loom::thread;

use super::samples::{record, rule};
use super::*;

/// How many alerts are raised when each of these clients has one event, all at once.
fn alerts(clients: &Arc<Clients>, count: usize, of: &[u32]) -> usize {
    let records: Vec<_> = of
        .iter()
        .map(|client| {
            let (clients, client) = (Arc::clone(clients), *client);
            thread::spawn(move || record(&clients, client, &rule(count), 0))
        })
        .collect();
    records.into_iter().map(|record| record.join().expect("no panic")).sum()
}

fn held(clients: &Clients) -> usize {
    clients.buckets.made().map(|bucket| bucket.lock().len()).sum()
}

#[test]
fn one_of_three_events_raises_the_alert_of_a_rule_of_three() {
    loom::model(|| {
        let clients = Arc::new(Clients::new(1));
        assert_eq!(alerts(&clients, 3, &[1, 1, 1]), 1);
        assert_eq!((held(&clients), clients.count()), (1, 1));
    });
}

#[test]
fn two_new_clients_share_the_only_place() {
    loom::model(|| {
        let clients = Arc::new(Clients::new(1));
        assert_eq!(alerts(&clients, 1, &[1, 2]), 2);
        assert_eq!((held(&clients), clients.count()), (1, 1));
    });
}

#[test]
fn a_client_added_by_two_threads_is_counted_once() {
    loom::model(|| {
        let clients = Arc::new(Clients::new(2));
        record(&clients, 1, &rule(3), 0);
        record(&clients, 2, &rule(3), 0);
        alerts(&clients, 3, &[3, 3]);
        assert_eq!(held(&clients) as u64, clients.count());
        let mut known: Vec<_> = clients.top(9).into_iter().map(|(client, _)| client).collect();
        known.dedup();
        assert_eq!(known.len(), held(&clients));
    });
}
