//! From the first request to the last: one state for all threads, and a shutdown that waits for them.
//!
//! A thread that takes part is a [`Member`]. It counts there what it owes, so that is known also when it ends or
//! stands still. A shutdown asks every member, and has ended when all have reported, have ended, or are given up.

mod member;
mod report;
mod shutdown;
mod state;
mod token;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

pub use member::{Member, MemberCount};
pub use report::{HookError, HookOutcome, MemberEnd, ShutdownReport, ThreadReport};
pub use shutdown::{ShutdownRequest, ShutdownTimes};
pub use state::{LifecycleEvent, LifecycleState};
pub use token::CancellationToken;

use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};
use crate::runtime::mailbox::{Sink, SubscriptionId};
use crate::runtime::subscribers::Subscribers;
use crate::{Error, Result, ThreadId};
use shutdown::Shutdown;
use state::StateCell;

/// A state machine over all threads: starting, running, draining, stopped.
#[derive(Debug)]
pub struct Lifecycle {
    name: String,
    created_with: OptionList,
    state: Arc<StateCell>,
    tokens: token::Children,
    /// Who takes part, and what is owed. States change under this lock, so events keep their order.
    roll: Mutex<Roll>,
    /// How often it was reset.
    resets: AtomicU32,
    subscribers: Subscribers<LifecycleEvent>,
}

#[derive(Debug, Default)]
struct Roll {
    members: Vec<Arc<Member>>,
    shutdown: Option<Shutdown>,
}

impl Lifecycle {
    /// A lifecycle that is starting, without members.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            created_with: OptionList::new(),
            state: Arc::new(StateCell::new()),
            tokens: token::Children::default(),
            roll: Mutex::new(Roll::default()),
            resets: AtomicU32::new(0),
            subscribers: Subscribers::default(),
        }
    }

    /// The state at this moment. Wait-free.
    pub fn state(&self) -> Result<LifecycleState> {
        self.state.get().ok_or_else(|| self.closed())
    }

    /// How often it was reset: what a thread has of a shutdown of before is void.
    #[must_use]
    pub fn resets(&self) -> u32 {
        self.resets.load(Ordering::Acquire)
    }

    /// Whether a shutdown has begun. Wait-free.
    pub fn is_cancelled(&self) -> Result<bool> {
        Ok(self.state()? >= LifecycleState::Draining)
    }

    /// A thread takes part: it is told to look, by [`LifecycleEvent::Moved`], whenever something changes. Who joins
    /// during a shutdown is not asked for a report.
    pub fn join(
        &self,
        mailbox: Sink<LifecycleEvent>,
        subscription: SubscriptionId,
        thread_id: u32,
    ) -> Result<Arc<Member>> {
        let mut roll = self.roll.lock();
        self.state()?;
        let member = Arc::new(Member::new(mailbox, subscription, thread_id));
        roll.members.push(Arc::clone(&member));
        Ok(member)
    }

    /// A member takes part again, if it was dismissed.
    pub fn rejoin(&self, member: &Arc<Member>) {
        let mut roll = self.roll.lock();
        if self.state.get().is_some() && !roll.members.iter().any(|other| Arc::ptr_eq(other, member)) {
            roll.members.push(Arc::clone(member));
        }
    }

    /// The members of this mailbox no longer take part; no thread waits for them.
    pub fn dismiss(&self, mailbox: &Sink<LifecycleEvent>) {
        self.roll.lock().members.retain(|member| !member.is_told_by(mailbox));
    }

    /// From starting to running; false when it runs already, or no more.
    pub fn ready(&self) -> Result<bool> {
        let roll = self.roll.lock();
        self.state()?;
        Ok(self.advance(&roll, LifecycleState::Running))
    }

    /// Begins to shut down. Where a shutdown goes on, its time may get shorter, never longer.
    pub fn shut_down(&self, request: ShutdownRequest, now: u64) -> Result<()> {
        let mut roll = self.roll.lock();
        self.state()?;
        match &mut roll.shutdown {
            None => {
                roll.shutdown = Some(Shutdown::begin(request, &roll.members, now));
                self.advance(&roll, LifecycleState::Draining);
                self.stop_if_all_is_told(&mut roll, now);
            }
            Some(shutdown) => {
                if shutdown.hasten(&request, now) {
                    roll.tell();
                }
            }
        }
        Ok(())
    }

    /// When the shutdown that goes on closes servers and when its time is over; none before it has begun.
    #[must_use]
    pub fn shutdown_times(&self) -> Option<ShutdownTimes> {
        self.roll.lock().shutdown.as_ref().map(Shutdown::times)
    }

    /// The drain of a member has ended. From now on it has the time of the hooks that come after.
    pub fn drained(&self, member: &Arc<Member>, now: u64) {
        if let Some(shutdown) = &mut self.roll.lock().shutdown {
            shutdown.drained(member, now);
        }
    }

    /// A member has done what it could.
    pub fn report(&self, member: &Arc<Member>, end: MemberEnd, now: u64) {
        let mut roll = self.roll.lock();
        if let Some(shutdown) = &mut roll.shutdown {
            shutdown.report(member, end);
        }
        self.stop_if_all_is_told(&mut roll, now);
    }

    /// Stops waiting for members that were late at the time `by`: after the deadline without the end of their drain,
    /// or after the time of their hooks.
    pub fn give_up(&self, by: u64, now: u64) {
        let mut roll = self.roll.lock();
        if let Some(shutdown) = &mut roll.shutdown {
            shutdown.give_up(by.min(now));
        }
        self.stop_if_all_is_told(&mut roll, now);
    }

    /// What came of the shutdown; none before it has ended.
    pub fn shutdown_report(&self) -> Result<Option<ShutdownReport>> {
        self.state()?;
        Ok(self.roll.lock().shutdown.as_ref().and_then(Shutdown::result))
    }

    /// The token of this name, the same in all threads. It lives as long as the lifecycle.
    pub fn child(&self, name: &str) -> Result<Arc<CancellationToken>> {
        self.state()?;
        Ok(self.tokens.open(name, || CancellationToken::below(&self.state, &[])))
    }

    /// Cancels a token and those below it; false when it was cancelled already. Members are told to look.
    pub fn cancel(&self, token: &CancellationToken, reason: Option<&str>) -> Result<bool> {
        self.state()?;
        let is_first = token.cancel(reason);
        if is_first {
            self.roll.lock().tell();
        }
        Ok(is_first)
    }

    /// Tells a thread of every state from now on.
    pub fn subscribe(&self, mailbox: Sink<LifecycleEvent>, subscription: SubscriptionId) -> Result<()> {
        self.state()?;
        let thread = mailbox.thread();
        self.subscribers.add(mailbox, subscription);
        // Again: a subscription that came after the end would never be told.
        self.state().inspect_err(|_| self.subscribers.remove(thread, subscription)).map(|_| ())
    }

    /// Ends one subscription of a thread.
    pub fn unsubscribe(&self, thread: ThreadId, subscription: SubscriptionId) {
        self.subscribers.remove(thread, subscription);
    }

    /// The clock was set back, by hand, in a test: a shutdown that goes on has as much time left as before.
    pub fn clock_was_set_back(&self, set_back: SetBack) {
        let mut roll = self.roll.lock();
        if let Some(shutdown) = &mut roll.shutdown {
            shutdown.clock_was_set_back(set_back);
            roll.tell();
        }
    }

    /// A thread ended: it takes no part any more, and what it owed counts as left.
    pub fn thread_ended(&self, thread: ThreadId, now: u64) {
        self.subscribers.thread_ended(thread);
        let mut roll = self.roll.lock();
        roll.members.retain(|member| member.thread() != thread);
        if let Some(shutdown) = &mut roll.shutdown {
            shutdown.thread_ended(thread);
        }
        self.stop_if_all_is_told(&mut roll, now);
    }

    fn stop_if_all_is_told(&self, roll: &mut Roll, now: u64) {
        if roll.shutdown.as_mut().is_some_and(|shutdown| shutdown.end_if_all_is_told(now)) {
            self.advance(roll, LifecycleState::Stopped);
        }
    }

    fn advance(&self, roll: &Roll, to: LifecycleState) -> bool {
        let has_moved = self.state.advance(to);
        if has_moved {
            roll.tell();
            self.subscribers.notify(&LifecycleEvent::Changed(to));
        }
        has_moved
    }

    fn closed(&self) -> Error {
        Error::Closed { name: self.name.clone() }
    }
}

impl Roll {
    fn tell(&self) {
        for member in &self.members {
            member.tell();
        }
    }
}

impl Instance for Lifecycle {
    const KIND: &'static str = "Lifecycle";
    type Config = ();

    fn create(name: &str, (): ()) -> Self {
        Self::new(name)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options((): &()) -> OptionList {
        OptionList::new()
    }

    fn reconfigure(&self, _: &str, (): (), _: bool) -> Result<Option<Arc<Self>>> {
        Ok(None)
    }

    /// It is starting again. Members stay and are told to look.
    fn reset(&self) {
        let mut roll = self.roll.lock();
        roll.shutdown = None;
        self.tokens.reset();
        self.resets.fetch_add(1, Ordering::AcqRel);
        self.state.reset();
        roll.tell();
    }

    fn close(&self) {
        let mut roll = self.roll.lock();
        self.state.destroy();
        // Whoever waits looks, and finds it gone.
        roll.tell();
        roll.members.clear();
        self.subscribers.end();
    }

    fn thread_ended(&self, thread: ThreadId, now: u64) {
        Self::thread_ended(self, thread, now);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back);
    }
}
