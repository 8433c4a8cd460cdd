//! What is sent of the changes of this process.

use std::time::Instant;

use sluice_core::FOREVER;
use sluice_core::runtime::clock::{self, ceil_ms};

use super::{Awaited, MOST_AWAITED, Session};
use crate::bans::changes::{Failures, Lifted, is_over};
use crate::bans::script::{ANY, NONE, Order};
use crate::bans::stored::{remaining_ms, rest_of};
use crate::link::LinkState;

impl Session<'_> {
    /// Sends changes and failures, once all bans of the others are known. Whether there was any.
    pub(super) fn send_pending(&mut self) -> bool {
        if self.shared.status.state() != LinkState::Ready {
            return false;
        }
        if self.paused_until.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        let mut any = false;
        while self.awaited.len() < MOST_AWAITED {
            let next = self.shared.changes.lock().next();
            let Some((target, lifted)) = next else { break };
            self.send(target, lifted);
            any = true;
        }
        while self.awaited.len() < MOST_AWAITED {
            let next = self.shared.changes.lock().next_failures();
            let Some((client, failures)) = next else { break };
            self.send_failures(client, failures);
            any = true;
        }
        any
    }

    /// Sends the ban in force, or that there is none any more.
    fn send(&mut self, target: String, lifted: Lifted) {
        let now = clock::now();
        let within = |until: u64| match until {
            FOREVER => ANY,
            until => i64::try_from(ceil_ms(until.saturating_sub(now))).unwrap_or(i64::MAX),
        };
        let ban = self.shared.reputation.ban_of(&target, now).unwrap_or_default();
        match (ban, lifted) {
            (Some(ban), lifted) => {
                let (remaining, rest) = (remaining_ms(ban.remaining), rest_of(&ban));
                let replaced = lifted.map_or(NONE, within);
                let awaited = Awaited::Change { target: target.clone(), lifted };
                self.call(&Order::Ban { target: &target, remaining, rest: &rest, replaced }, awaited);
            }
            (None, Some(until)) if !is_over(until, now) => {
                let awaited = Awaited::Change { target: target.clone(), lifted };
                self.call(&Order::Unban { target: &target, within: within(until) }, awaited);
            }
            // It has ended. What others have said of it meanwhile was passed over.
            _ => {
                let awaited = Awaited::Change { target: target.clone(), lifted: None };
                self.call(&Order::Unban { target: &target, within: NONE }, awaited);
            }
        }
    }

    fn send_failures(&mut self, client: String, failures: Failures) {
        if failures.are_forgiven {
            let awaited = Awaited::Forgiven { client: client.clone() };
            self.call(&Order::Forgive { client: &client }, awaited);
        }
        if failures.count > 0 {
            let (most, counts_for) = self.shared.reputation.failure_limit();
            let limit = (most, ceil_ms(counts_for));
            let order = Order::Fail { client: &client, count: failures.count, limit };
            let call = self.shared.names.call(&order, self.sends_text);
            self.connected.wire.put(&call);
            self.awaited.push_back((Awaited::Failures { client, failures }, Instant::now()));
        }
    }
}
