//! One state for all threads, from start to stop, and a shutdown that waits for them.
//!
//! A thread that takes part is a [`Member`]. It counts its connections and its work there, so other threads know them even
//! when it ends or is suspended. A shutdown notifies every member. It ends when each has reported, has ended, or was given
//! up.

mod instance;
mod member;
mod membership;
mod options;
mod report;
mod shutdown;
mod state;
mod token;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

pub use member::{Member, MemberCount};
pub use options::ShutdownOptions;
pub use report::{HookError, HookOutcome, MemberEnd, ShutdownReport, ThreadReport};
pub use shutdown::{ShutdownRequest, ShutdownTimes};
pub use state::{LifecycleEvent, LifecycleState};
pub use token::CancellationToken;

use crate::runtime::clock::SetBack;
use crate::runtime::instances::OptionList;
use crate::runtime::mailbox::{Sink, SubscriptionId};
use crate::runtime::subscribers::Subscribers;
use crate::{Error, Result, ThreadId};
use membership::Membership;
use shutdown::Shutdown;
use state::StateCell;

/// A state machine over all threads: starting, running, draining, stopped.
#[derive(Debug)]
pub struct Lifecycle {
    name: String,
    created_with: OptionList,
    state: Arc<StateCell>,
    tokens: token::Children,
    /// The members, and the shutdown in progress. States change under this lock, so events keep their order.
    membership: Mutex<Membership>,
    /// How often it was reset.
    resets: AtomicU32,
    subscribers: Subscribers<LifecycleEvent>,
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
            membership: Mutex::new(Membership::default()),
            resets: AtomicU32::new(0),
            subscribers: Subscribers::default(),
        }
    }

    /// The state at this moment. Wait-free.
    ///
    /// # Errors
    /// The lifecycle was destroyed.
    pub fn state(&self) -> Result<LifecycleState> {
        self.state.get().ok_or_else(|| self.closed())
    }

    /// How often it was reset. What a thread knows of a shutdown from before a reset is void.
    #[must_use]
    pub fn resets(&self) -> u32 {
        self.resets.load(Ordering::Acquire)
    }

    /// Whether a shutdown has begun. Wait-free.
    ///
    /// # Errors
    /// The lifecycle was destroyed.
    pub fn is_cancelled(&self) -> Result<bool> {
        Ok(self.state()? >= LifecycleState::Draining)
    }

    /// Makes a thread a member. [`LifecycleEvent::Moved`] notifies it of every change. A member that joins during a
    /// shutdown is not awaited.
    ///
    /// # Errors
    /// The lifecycle was destroyed.
    pub fn join(
        &self,
        mailbox: Sink<LifecycleEvent>,
        subscription: SubscriptionId,
        thread_id: u32,
    ) -> Result<Arc<Member>> {
        let mut membership = self.membership.lock();
        self.state()?;
        let member = Arc::new(Member::new(mailbox, subscription, thread_id));
        membership.members.push(Arc::clone(&member));
        Ok(member)
    }

    /// The members now: Node's id of each thread, its open connections and its work in progress.
    #[must_use]
    pub fn members(&self) -> Vec<(u32, u64, u64)> {
        let membership = self.membership.lock();
        membership.members.iter().map(|member| (member.thread_id(), member.open(), member.tasks())).collect()
    }

    /// Makes a dismissed member one again.
    pub fn rejoin(&self, member: &Arc<Member>) {
        let mut membership = self.membership.lock();
        if self.state.get().is_some() && !membership.members.iter().any(|other| Arc::ptr_eq(other, member)) {
            membership.members.push(Arc::clone(member));
        }
    }

    /// Removes the members with this mailbox. No thread waits for them.
    pub fn dismiss(&self, mailbox: &Sink<LifecycleEvent>) {
        self.membership.lock().members.retain(|member| !member.has_mailbox(mailbox));
    }

    /// Moves from starting to running. False when it is running already, or shuts down.
    ///
    /// # Errors
    /// The lifecycle was destroyed.
    pub fn ready(&self) -> Result<bool> {
        let membership = self.membership.lock();
        self.state()?;
        Ok(self.advance(&membership, LifecycleState::Running))
    }

    /// Begins a shutdown. One in progress may only get less time.
    ///
    /// # Errors
    /// The lifecycle was destroyed.
    pub fn shut_down(&self, request: ShutdownRequest, now: u64) -> Result<()> {
        let mut membership = self.membership.lock();
        self.state()?;
        match &mut membership.shutdown {
            None => {
                membership.shutdown = Some(Shutdown::begin(request, &membership.members, now));
                self.advance(&membership, LifecycleState::Draining);
                self.stop_if_all_reported(&mut membership, now);
            }
            Some(shutdown) => {
                if shutdown.hasten(&request, now) {
                    membership.notify();
                }
            }
        }
        Ok(())
    }

    /// When the shutdown closes servers, and when its time is over; none before it has begun.
    #[must_use]
    pub fn shutdown_times(&self) -> Option<ShutdownTimes> {
        self.membership.lock().shutdown.as_ref().map(Shutdown::times)
    }

    /// The drain of a member has ended. From now on it has the time of the hooks that run after the drain.
    pub fn drained(&self, member: &Arc<Member>, now: u64) {
        if let Some(shutdown) = &mut self.membership.lock().shutdown {
            shutdown.drained(member, now);
        }
    }

    /// Takes the report of a member.
    pub fn report(&self, member: &Arc<Member>, end: MemberEnd, now: u64) {
        let mut membership = self.membership.lock();
        if let Some(shutdown) = &mut membership.shutdown {
            shutdown.report(member, end);
        }
        self.stop_if_all_reported(&mut membership, now);
    }

    /// Stops waiting for members that were late at the time `by`: past the deadline without having drained, or past the
    /// time of their hooks.
    pub fn give_up(&self, by: u64, now: u64) {
        let mut membership = self.membership.lock();
        if let Some(shutdown) = &mut membership.shutdown {
            shutdown.give_up(by.min(now));
        }
        self.stop_if_all_reported(&mut membership, now);
    }

    /// The report of the shutdown; none before it has ended.
    ///
    /// # Errors
    /// The lifecycle was destroyed.
    pub fn shutdown_report(&self) -> Result<Option<ShutdownReport>> {
        self.state()?;
        Ok(self.membership.lock().shutdown.as_ref().and_then(Shutdown::result))
    }

    /// The token of this name, the same in all threads. It lives as long as the lifecycle.
    ///
    /// # Errors
    /// The lifecycle was destroyed.
    pub fn child(&self, name: &str) -> Result<Arc<CancellationToken>> {
        self.state()?;
        Ok(self.tokens.open(name, || CancellationToken::below(&self.state, &[])))
    }

    /// Cancels a token and those below it, and notifies members. False when it was cancelled already.
    ///
    /// # Errors
    /// The lifecycle was destroyed.
    pub fn cancel(&self, token: &CancellationToken, reason: Option<&str>) -> Result<bool> {
        self.state()?;
        let is_first = token.cancel(reason);
        if is_first {
            self.membership.lock().notify();
        }
        Ok(is_first)
    }

    /// Notifies the subscription of every state from now on.
    ///
    /// # Errors
    /// The lifecycle was destroyed.
    pub fn subscribe(&self, mailbox: Sink<LifecycleEvent>, subscription: SubscriptionId) -> Result<()> {
        self.state()?;
        let thread = mailbox.thread();
        self.subscribers.add(mailbox, subscription);
        // Again: a subscription that was added after the end would never be notified.
        self.state().inspect_err(|_| self.subscribers.remove(thread, subscription)).map(|_| ())
    }

    /// Ends one subscription of a thread.
    pub fn unsubscribe(&self, thread: ThreadId, subscription: SubscriptionId) {
        self.subscribers.remove(thread, subscription);
    }

    /// A test set the clock back: a shutdown in progress has as much time left as before.
    pub fn clock_was_set_back(&self, set_back: SetBack) {
        let mut membership = self.membership.lock();
        if let Some(shutdown) = &mut membership.shutdown {
            shutdown.clock_was_set_back(set_back);
            membership.notify();
        }
    }

    /// Removes the members of a thread that ended. Work that it had not finished counts as left.
    pub fn thread_ended(&self, thread: ThreadId, now: u64) {
        self.subscribers.thread_ended(thread);
        let mut membership = self.membership.lock();
        membership.members.retain(|member| member.thread() != thread);
        if let Some(shutdown) = &mut membership.shutdown {
            shutdown.thread_ended(thread);
        }
        self.stop_if_all_reported(&mut membership, now);
    }

    fn stop_if_all_reported(&self, membership: &mut Membership, now: u64) {
        if membership.shutdown.as_mut().is_some_and(|shutdown| shutdown.end_if_all_reported(now)) {
            self.advance(membership, LifecycleState::Stopped);
        }
    }

    fn advance(&self, membership: &Membership, to: LifecycleState) -> bool {
        let has_moved = self.state.advance(to);
        if has_moved {
            membership.notify();
            self.subscribers.notify(&LifecycleEvent::Changed(to));
        }
        has_moved
    }

    fn closed(&self) -> Error {
        Error::Closed { name: self.name.clone() }
    }
}
