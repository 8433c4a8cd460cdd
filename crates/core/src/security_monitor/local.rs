//! A thread's own handle to a monitor that it calls often.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use super::alert::Alert;
use super::dates::Dates;
use super::events::EventId;
use super::monitor::{Approached, Occurrence, SecurityMonitor, State};
use crate::Result;
use crate::client_key::AddressText;

/// One thread's handle to a monitor: its state, and the date. Calls do what those of the monitor do, and cost less.
pub struct LocalMonitor {
    monitor: Arc<SecurityMonitor>,
    state: Cache<Arc<ArcSwap<State>>, Arc<State>>,
    dates: Dates,
}

impl LocalMonitor {
    /// A handle for the calling thread.
    #[must_use]
    pub fn new(monitor: Arc<SecurityMonitor>) -> Self {
        let state = Cache::new(Arc::clone(&monitor.state));
        Self { monitor, state, dates: Dates::default() }
    }

    /// The monitor, for calls that are not made for every request.
    #[must_use]
    pub fn monitor(&self) -> &Arc<SecurityMonitor> {
        &self.monitor
    }

    /// The client of an address, before an event of it is recorded. Its state is prefetched, so there should be work in
    /// between.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`.
    #[inline]
    pub fn approach<'a>(&mut self, ip: impl Into<AddressText<'a>>) -> Result<Approached> {
        SecurityMonitor::approach(self.state.load(), ip)
    }

    /// As [`SecurityMonitor::record`], with the date of the time `now`. An error of `client` comes after those of the monitor
    /// and the event.
    ///
    /// # Errors
    ///
    /// As of [`SecurityMonitor::record`].
    #[inline]
    pub fn record(
        &mut self,
        event: EventId,
        client: Result<Approached>,
        detail: Option<&str>,
        now: u64,
        ban: impl Fn(&str, &Alert) -> bool,
    ) -> Result<()> {
        let occurrence = Occurrence { event, client, detail, at: (now, self.dates.at(now)) };
        self.monitor.record_in(self.state.load(), occurrence, ban)
    }

    /// As [`SecurityMonitor::counts_for`]: runs `each` on the events and their totals, with a number from 0 on. It must not
    /// use the monitor. Returns how many there are.
    ///
    /// # Errors
    ///
    /// As of [`SecurityMonitor::counts_for`].
    #[inline]
    pub fn counts_for<'a>(
        &mut self,
        ip: impl Into<AddressText<'a>>,
        each: impl FnMut(usize, EventId, u64),
    ) -> Result<usize> {
        self.monitor.counts_in(self.state.load(), ip.into(), each)
    }
}

impl fmt::Debug for LocalMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalMonitor").field("monitor", &self.monitor).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(sluice_loom)))]
mod tests {
    use super::*;
    use crate::runtime::clock;
    use crate::runtime::instances::Instance;
    use crate::security_monitor::history::HistoryQuery;
    use crate::security_monitor::options::{SecurityMonitorConfig, SecurityMonitorOptions};

    const IP: &str = "203.0.113.7";

    fn local() -> LocalMonitor {
        let config = SecurityMonitorConfig::try_from(SecurityMonitorOptions::new(Vec::new()));
        LocalMonitor::new(Arc::new(SecurityMonitor::new("test", config.expect("valid"))))
    }

    fn record(local: &mut LocalMonitor, event: EventId, detail: Option<&str>) {
        let client = local.approach(IP);
        local.record(event, client, detail, clock::now(), |_, _| false).expect("recorded");
    }

    fn counts(local: &mut LocalMonitor) -> Vec<(u32, u64)> {
        let mut counts = Vec::new();
        let found = local.counts_for(IP, |place, EventId(event), count| {
            assert_eq!(place, counts.len());
            counts.push((event, count));
        });
        assert_eq!(found.expect("open"), counts.len());
        counts
    }

    #[test]
    fn records_what_the_monitor_counts() {
        let mut local = local();
        let [a, b] = ["a", "b"].map(|name| local.monitor().event(name).expect("open"));
        assert_eq!(counts(&mut local), []);
        record(&mut local, b, None);
        record(&mut local, a, Some("x"));
        record(&mut local, b, Some("y"));
        assert_eq!(counts(&mut local), [(1, 2), (0, 1)]);
        assert_eq!(local.monitor().events().expect("open"), ["a".into(), "b".into()]);
        let (entries, _) = local.monitor().history(HistoryQuery::default()).expect("open");
        let details = entries.iter().map(|entry| entry.detail.as_ref().map(|detail| &*detail.text));
        assert_eq!(details.collect::<Vec<_>>(), [Some("y"), Some("x"), None]);
    }

    #[test]
    fn sees_a_reset_and_the_end() {
        let mut local = local();
        let event = local.monitor().event("a").expect("open");
        record(&mut local, event, None);
        Instance::reset(&**local.monitor());
        assert_eq!(counts(&mut local), []);
        record(&mut local, event, None);
        assert_eq!(counts(&mut local), [(0, 1)]);
        assert_eq!(local.monitor().counts_for(IP).expect("open"), [("a".into(), 1)]);
        local.monitor().close();
        let client = local.approach(IP);
        assert!(local.record(event, client, None, 0, |_, _| false).is_err());
        assert!(local.counts_for(IP, |_, _, _| {}).is_err());
    }
}
