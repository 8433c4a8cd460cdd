//! Rules and clients for tests.

use super::*;
use crate::security_monitor::events::{Event, EventId, Events};
use crate::security_monitor::rule::{Action, Rule};

/// `count` events within 100 ns; muted for 100 ns.
pub(super) fn rule(count: usize) -> [Rule; 1] {
    let (name, event) = ("rule".into(), "event".into());
    [Rule { id: 0, name, event, count, window: 100, distinct: false, mute: 100, action: Action::Alert }]
}

pub(super) fn address(number: u32) -> IpAddr {
    IpAddr::V4(number.into())
}

/// How many alerts one event of the client raises.
pub(super) fn record(clients: &Clients, client: u32, rules: &[Rule], now: u64) -> usize {
    let events = Events::new();
    events.mention("event", rules).expect("the first");
    let event: &Event = events.get(EventId(0)).expect("just mentioned");
    clients.with(address(client).into(), now, |client| client.record(event, None, rules, now)).alerts.len()
}
