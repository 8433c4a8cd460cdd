//! What becomes of questions: the answers of the server, and those without it.

use super::Shared;
use super::book::{Ask, Verdict};
use crate::answer::{Answer, Deliveries, Failure, Source};
use crate::limiter::OnError;
use crate::link::{CLOSED, LinkState};

impl Shared {
    /// The server does not answer: nothing waits for it any more.
    pub(super) fn is_away(&self) {
        self.status.set_state(LinkState::Away);
        let waiting = self.book.lock().take_waiting();
        self.fail(waiting, Failure::Away);
    }

    /// Answers questions that the server has not decided.
    pub(super) fn fail(&self, asks: Vec<Ask>, failure: Failure) {
        let mut deliveries = Deliveries::default();
        for ask in asks {
            let answer = self.without_server(&ask, failure);
            deliveries.put(&ask.ticket, answer);
        }
    }

    /// What `onError` decides.
    pub(super) fn without_server(&self, ask: &Ask, failure: Failure) -> Answer {
        self.counters.failed(failure);
        self.counters.without_server();
        let source = match self.options.on_error {
            OnError::Local => Source::Local,
            OnError::Allow => Source::Allow,
            OnError::Deny => return Answer::NoPlace(None, Source::Deny),
        };
        let place = self.book.lock().hold_without_server(ask.holding.clone(), ask.thread);
        self.wake.notify_one();
        place.map_or(CLOSED, |place| Answer::Granted(place, source))
    }

    /// What the server has decided.
    pub(super) fn decide(&self, settled: Vec<(Ask, Verdict)>) {
        let mut deliveries = Deliveries::default();
        for (ask, verdict) in settled {
            let answer = match verdict {
                Verdict::Granted(place) => Answer::Granted(place, Source::Redis),
                Verdict::Refused(refusal) => {
                    self.tracker.refused(refusal);
                    Answer::NoPlace(Some(refusal), Source::Redis)
                }
                Verdict::Foreign => self.without_server(&ask, Failure::Foreign),
            };
            if verdict != Verdict::Foreign {
                self.counters.decided();
            }
            deliveries.put(&ask.ticket, answer);
        }
    }
}

/// Answers questions where nothing is counted together any more.
pub(super) fn close_all(asks: Vec<Ask>) {
    let mut deliveries = Deliveries::default();
    for ask in asks {
        deliveries.put(&ask.ticket, CLOSED);
    }
}
