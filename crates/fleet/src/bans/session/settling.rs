//! What becomes of messages and replies.

use std::sync::atomic::Ordering;
use std::time::Instant;

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use sluice_core::runtime::clock;

use super::{Awaited, End, PAUSE, Session};
use crate::bans::changes::Failures;
use crate::bans::sync::{Message, Page, Sync, text};
use crate::differences;
use crate::link::{LinkState, has_code};

impl Session<'_> {
    /// A change of some process.
    pub(super) fn hear(&mut self, data: &[Value]) {
        let message = data.get(1).and_then(text).and_then(|text| Message::read(&text));
        // What was published before the bans are read is among them.
        let Some(message) = message.filter(|_| self.is_greeted) else { return };
        self.saw(message.now);
        if message.version != self.replica.version + 1 {
            // One was lost, or the server has lost its data.
            return self.restart();
        }
        self.replica.version = message.version;
        let Message { now, process, target, value, .. } = message;
        if let Some(sync) = &mut self.sync {
            sync.seen.insert(self.shared.reputation.name_of(&target).unwrap_or_default());
        }
        if process != self.shared.names.process
            && self.replica.follow(&self.shared.own(), &target, &value, now)
        {
            self.shared.received.fetch_add(1, Ordering::Relaxed);
        }
        self.count();
    }

    fn restart(&mut self) {
        self.is_greeted = false;
        self.sync = None;
        self.greet(false);
    }

    pub(super) fn settle(&mut self, reply: Value) -> Result<(), End> {
        let Some((awaited, _)) = self.awaited.pop_front() else { return Ok(()) };
        if let Value::ServerError(error) = reply {
            return self.settle_error(awaited, &error.into());
        }
        match awaited {
            Awaited::Hello { compares } => self.greeted(&reply, compares)?,
            Awaited::Page => self.read_page(&reply)?,
            Awaited::Change { target, .. } => self.changed(&target, &reply),
            Awaited::Failures { client, failures } => self.counted(&client, &failures, &reply),
            Awaited::Options { own } => {
                differences::compare("Reputation", &self.shared.names.name, own, &reply);
            }
            Awaited::Forgiven { .. } => {}
        }
        Ok(())
    }

    fn settle_error(&mut self, awaited: Awaited, error: &RedisError) -> Result<(), End> {
        if matches!(awaited, Awaited::Options { .. }) {
            // An account that may not say its options shares bans all the same.
            return Ok(());
        }
        let is_unknown = error.kind() == ErrorKind::Server(ServerErrorKind::NoScript);
        self.sends_text |= is_unknown;
        let end = if is_unknown { End::Failed } else { self.ended_by(error) };
        match awaited {
            Awaited::Change { target, lifted } => self.shared.changes.lock().put_back(target, lifted),
            Awaited::Hello { compares } if is_unknown => {
                self.greet(compares);
                return Ok(());
            }
            Awaited::Hello { .. } | Awaited::Page => return Err(end),
            Awaited::Failures { client, failures } if is_unknown => {
                self.shared.changes.lock().failed(client, failures.count, failures.reason.as_deref());
            }
            Awaited::Forgiven { client } if is_unknown => {
                self.shared.changes.lock().put_back_forgiven(client)
            }
            Awaited::Failures { .. } | Awaited::Options { .. } | Awaited::Forgiven { .. } => {}
        }
        let leaves = has_code(error, "READONLY") || has_code(error, "MASTERDOWN");
        if leaves || matches!(end, End::Moved(_)) {
            return Err(end);
        }
        if !is_unknown {
            self.paused_until = Some(Instant::now() + PAUSE);
        }
        Ok(())
    }

    fn greeted(&mut self, reply: &Value, compares: bool) -> Result<(), End> {
        let greeting = match reply.as_sequence() {
            Some([Value::Int(now), epoch, Value::Int(version)]) => {
                text(epoch).map(|epoch| (*now, epoch, *version))
            }
            _ => None,
        };
        let Some((now, epoch, version)) = greeting else { return Err(self.strange()) };
        self.saw(now);
        let version = version.unsigned_abs();
        let is_same = self.replica.epoch.as_ref() == Some(&epoch);
        if compares && is_same && version == self.replica.version {
            return Ok(());
        }
        // Fewer changes than were known: the last ones are lost, and so may bans be.
        if !is_same || version < self.replica.version {
            self.replica.begin(epoch);
        }
        self.replica.version = version;
        self.is_greeted = true;
        self.sync = Some(Sync::default());
        self.ask_page(0);
        Ok(())
    }

    fn ask_page(&mut self, from: u64) {
        let page = self.shared.names.page(from);
        self.connected.wire.put(&page);
        self.awaited.push_back((Awaited::Page, Instant::now()));
    }

    fn read_page(&mut self, reply: &Value) -> Result<(), End> {
        let Some(page) = Page::read(reply) else { return Err(self.strange()) };
        let now = self.server_now();
        // Reading begins anew.
        let Some(mut sync) = self.sync.take() else { return Ok(()) };
        for (target, value) in page.entries {
            let Ok(name) = self.shared.reputation.name_of(&target) else { continue };
            let news = self.replica.follow(&self.shared.own(), &target, &value, now);
            self.shared.received.fetch_add(u64::from(news), Ordering::Relaxed);
            sync.seen.insert(name);
        }
        if page.next != 0 {
            self.sync = Some(sync);
            self.ask_page(page.next);
            return Ok(());
        }
        let lifted = self.replica.settle(&self.shared.own(), |target| sync.seen.contains(target), now);
        self.shared.received.fetch_add(lifted, Ordering::Relaxed);
        self.count();
        self.shared.status.set_state(LinkState::Ready);
        let now = Instant::now();
        self.announcing.begin(now);
        self.say_options(now);
        Ok(())
    }

    /// The server has run a change; where it has another ban in force, that holds here too.
    fn changed(&mut self, target: &str, reply: &Value) {
        self.shared.changes.lock().done(target);
        let Some([Value::Int(now), _, value]) = reply.as_sequence() else { return };
        self.saw(*now);
        let value = text(value).unwrap_or_default();
        if self.shared.changes.lock().has(target) {
            self.replica.note(target, &value);
        } else {
            self.replica.follow_answer(&self.shared.own(), target, &value, *now);
        }
        self.shared.sent.fetch_add(1, Ordering::Relaxed);
        self.count();
    }

    /// Failures of all processes together ban the client: this process does it, and tells the others.
    fn counted(&mut self, client: &str, failures: &Failures, reply: &Value) {
        if let Some([_, Value::Int(1)]) = reply.as_sequence() {
            // Fails where the reputation was destroyed meanwhile.
            let reason = failures.reason.as_deref();
            let _ = self.shared.reputation.ban_for_failures(client, reason, clock::now());
        }
    }
}
