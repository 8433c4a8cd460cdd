//! The broker as a named instance: created, reconfigured, reset and closed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::inbox::BrokerEvent;
use super::{Broker, BrokerConfig};
use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};

impl Instance for Broker {
    const KIND: &'static str = "Broker";
    type Config = BrokerConfig;

    fn create(name: &str, config: BrokerConfig) -> Self {
        Self::new(name, config)
    }

    fn try_create(name: &str, config: BrokerConfig) -> Result<Self> {
        config.check_memory()?;
        Ok(Self::create(name, config))
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &BrokerConfig) -> OptionList {
        config.options.list()
    }

    fn reconfigure(&self, _: &str, config: BrokerConfig, _: bool) -> Result<Option<Arc<Self>>> {
        // Relaxed: as in `inbox`.
        self.inbox.store(config.inbox, Ordering::Relaxed);
        Ok(None)
    }

    /// Peers stay, with what they serve. Pending messages are dropped, and their capacity is released.
    fn reset(&self) {
        let _changing = self.changing.lock();
        self.first_since_reset.store(self.sequence.load(Ordering::Relaxed), Ordering::Release);
        self.refused.store(0, Ordering::Relaxed);
        self.round_trips.reset();
        let directory = self.directory.load();
        for peer in directory.peers() {
            peer.round_trips.reset();
            peer.occupancy.release(peer.inbox.drop_messages());
            self.notify_drained(&directory, peer);
        }
    }

    fn close(&self) {
        let _changing = self.changing.lock();
        self.is_closed.store(true, Ordering::Release);
        self.directory.load().notify(&BrokerEvent::Destroyed, None);
    }

    fn thread_ended(&self, thread: ThreadId, _: u64) {
        Self::thread_ended(self, thread);
    }

    /// Callers keep their own deadlines, on a clock that never goes back.
    fn clock_was_set_back(&self, _: SetBack) {}
}
