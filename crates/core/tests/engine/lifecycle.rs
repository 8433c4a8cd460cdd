//! `Lifecycle`: states, members that a shutdown waits for, deadlines, tokens and the report.

use std::sync::Arc;

use sluice_core::deliveries::{Item, Mailbox};
use sluice_core::runtime::clock::MS;
use sluice_core::{
    HookError, HookOutcome, Instance, Lifecycle, LifecycleState, Member, MemberCount, MemberEnd,
    ShutdownReport, ShutdownRequest, ThreadId,
};

/// A lifecycle with a member for each of threads 1, 2, and so on.
struct Stage {
    lifecycle: Lifecycle,
    mailboxes: Vec<Arc<Mailbox>>,
    members: Vec<Arc<Member>>,
}

fn stage(threads: u64) -> Stage {
    let lifecycle = Lifecycle::new("l");
    let mailboxes: Vec<_> =
        (1..=threads).map(|thread| Arc::new(Mailbox::new(ThreadId(thread), Box::new(|| ())))).collect();
    let join = |mailbox: &Arc<Mailbox>| {
        lifecycle.join(Arc::<Mailbox>::clone(mailbox), 7, mailbox.thread().0 as u32).expect("open")
    };
    let members = mailboxes.iter().map(join).collect();
    Stage { lifecycle, mailboxes, members }
}

impl Stage {
    fn shut_down(&self, timeout: u64, now: u64) {
        let request = ShutdownRequest { timeout: Some(timeout), ..ShutdownRequest::default() };
        self.lifecycle.shut_down(request, now).expect("open");
    }

    fn report(&self, member: usize, now: u64) {
        self.lifecycle.report(&self.members[member], MemberEnd::default(), now);
    }

    fn state(&self) -> LifecycleState {
        self.lifecycle.state().expect("open")
    }

    fn result(&self) -> ShutdownReport {
        self.lifecycle.shutdown_report().expect("open").expect("ended")
    }

    /// Number of deliveries to a member since the last call.
    fn deliveries(&self, thread: usize) -> usize {
        self.mailboxes[thread].take().len()
    }
}

fn count(member: &Member, counts: &[(MemberCount, u64)]) {
    for (what, times) in counts {
        (0..*times).for_each(|_| member.count(*what));
    }
}

#[test]
fn states_follow_in_order_starting_running_draining_stopped() {
    let stage = stage(1);
    assert_eq!(stage.state(), LifecycleState::Starting);
    assert_eq!([stage.lifecycle.ready(), stage.lifecycle.ready()], [Ok(true), Ok(false)]);
    assert_eq!((stage.state(), stage.lifecycle.is_cancelled()), (LifecycleState::Running, Ok(false)));
    stage.shut_down(1, 0);
    assert_eq!((stage.state(), stage.lifecycle.is_cancelled()), (LifecycleState::Draining, Ok(true)));
    assert_eq!(stage.lifecycle.ready(), Ok(false));
    stage.report(0, 1);
    assert_eq!((stage.state(), stage.lifecycle.is_cancelled()), (LifecycleState::Stopped, Ok(true)));
}

#[test]
fn the_lifecycle_stops_once_every_member_has_reported() {
    let stage = stage(3);
    stage.shut_down(10 * MS, 5 * MS);
    stage.report(0, 6 * MS);
    stage.report(0, 6 * MS);
    stage.report(1, 7 * MS);
    assert_eq!(stage.lifecycle.shutdown_report(), Ok(None));
    stage.report(2, 9 * MS);
    let result = stage.result();
    assert_eq!((result.took, result.threads.len()), (4 * MS, 3));
    assert!(result.threads.iter().all(|thread| thread.is_drained()));
}

#[test]
fn members_are_notified_of_each_step() {
    let stage = stage(2);
    stage.lifecycle.ready().expect("open");
    assert_eq!([stage.deliveries(0), stage.deliveries(1)], [1, 1]);
    stage.shut_down(10, 0);
    assert_eq!([stage.deliveries(0), stage.deliveries(1)], [1, 1]);
    stage.report(0, 1);
    stage.report(1, 1);
    assert_eq!([stage.deliveries(0), stage.deliveries(1)], [1, 1]);
}

#[test]
fn subscribers_receive_every_state_in_order() {
    let stage = stage(1);
    stage.lifecycle.subscribe(Arc::<Mailbox>::clone(&stage.mailboxes[0]), 9).expect("open");
    stage.lifecycle.ready().expect("open");
    stage.shut_down(1, 0);
    stage.report(0, 1);
    let received: Vec<_> =
        stage.mailboxes[0].take().into_iter().filter(|delivery| delivery.subscription == 9).collect();
    let states = [LifecycleState::Running, LifecycleState::Draining, LifecycleState::Stopped];
    let expected: Vec<_> = states.into_iter().map(|state| Item::LifecycleChange { state }).collect();
    assert_eq!(received.into_iter().map(|delivery| delivery.item).collect::<Vec<_>>(), expected);
}

#[test]
fn a_report_has_the_counts_of_each_thread_since_the_shutdown_began() {
    let stage = stage(2);
    count(&stage.members[0], &[(MemberCount::Opened, 5), (MemberCount::Closed, 2), (MemberCount::Begun, 3)]);
    stage.shut_down(10, 0);
    count(&stage.members[0], &[(MemberCount::Closed, 3), (MemberCount::Done, 1)]);
    let error = HookError { name: "Error".into(), message: "no".into(), code: None };
    let hooks = vec![
        HookOutcome { name: "flush".into(), error: None },
        HookOutcome { name: "close".into(), error: Some(error) },
    ];
    let end = MemberEnd { forced: 1, hooks: hooks.clone(), hooks_took: 3, ..MemberEnd::default() };
    stage.lifecycle.report(&stage.members[0], end, 10);
    stage.report(1, 10);
    let [first, second] = &stage.result().threads[..] else { panic!("two threads") };
    assert_eq!((first.thread_id, first.forced, first.connections_closed, first.tasks_left), (1, 1, 3, 2));
    assert_eq!((&first.hooks, first.hooks_took, first.is_drained()), (&hooks, 3, false));
    assert_eq!((second.thread_id, second.is_drained()), (2, true));
}

#[test]
fn a_thread_that_ends_is_not_waited_for_and_its_open_work_is_reported() {
    let stage = stage(2);
    count(&stage.members[1], &[(MemberCount::Opened, 5), (MemberCount::Closed, 1), (MemberCount::Begun, 2)]);
    stage.shut_down(10, 0);
    count(&stage.members[1], &[(MemberCount::Closed, 1)]);
    stage.report(0, 1);
    stage.lifecycle.thread_ended(ThreadId(2), 2);
    let ended = stage.result().threads.remove(1);
    assert!(ended.responded && !ended.is_drained());
    assert_eq!((ended.forced, ended.connections_closed, ended.tasks_left), (3, 4, 2));
}

#[test]
fn a_thread_that_ends_without_open_work_counts_as_drained() {
    let stage = stage(2);
    stage.shut_down(10, 0);
    stage.lifecycle.thread_ended(ThreadId(2), 2);
    stage.report(0, 2);
    assert!(stage.result().threads.iter().all(|thread| thread.is_drained()));
}

#[test]
fn a_silent_member_is_given_up_at_the_deadline_and_not_before() {
    let stage = stage(2);
    count(&stage.members[1], &[(MemberCount::Opened, 2), (MemberCount::Begun, 1)]);
    stage.shut_down(10, 0);
    stage.report(0, 1);
    stage.lifecycle.give_up(9, 9);
    stage.lifecycle.give_up(10, 9);
    assert_eq!(stage.state(), LifecycleState::Draining);
    stage.lifecycle.give_up(10, 10);
    let silent = stage.result().threads.remove(1);
    assert_eq!((silent.responded, silent.forced, silent.tasks_left), (false, 2, 1));
    assert_eq!(silent.connections_closed, 0);
    stage.report(1, 11);
    assert_eq!(stage.result().threads.remove(1), silent, "a late report changes nothing");
}

#[test]
fn a_later_shut_down_can_only_shorten_the_time() {
    let stage = stage(1);
    let request = |reason: &str, delay, timeout| ShutdownRequest {
        reason: Some(reason.into()),
        delay,
        timeout,
        hooks_timeout: None,
    };
    stage.lifecycle.shut_down(request("first", 5, Some(100)), 0).expect("open");
    let times = |stage: &Stage| stage.lifecycle.shutdown_times().expect("begun");
    assert_eq!((times(&stage).closes_at, times(&stage).deadline), (5, 105));
    stage.lifecycle.shut_down(request("second", 0, None), 1).expect("open");
    stage.lifecycle.shut_down(request("third", 0, Some(200)), 1).expect("open");
    assert_eq!((times(&stage).closes_at, times(&stage).deadline), (5, 105));
    stage.deliveries(0);
    stage.lifecycle.shut_down(request("fourth", 0, Some(0)), 2).expect("open");
    assert_eq!((times(&stage).closes_at, times(&stage).deadline, stage.deliveries(0)), (2, 2, 1));
    stage.report(0, 3);
    assert_eq!(stage.result().reason.as_deref(), Some("first"));
}

#[test]
fn hooks_timeout_is_shortened_independently_of_timeout() {
    let stage = stage(1);
    let request =
        |timeout, hooks_timeout| ShutdownRequest { timeout, hooks_timeout, ..ShutdownRequest::default() };
    let times = || stage.lifecycle.shutdown_times().expect("begun");
    stage.lifecycle.shut_down(request(Some(100), None), 0).expect("open");
    assert_eq!((times().deadline, times().hooks_timeout), (100, 5_000 * MS));
    stage.lifecycle.shut_down(request(Some(0), None), 1).expect("open");
    assert_eq!((times().deadline, times().hooks_timeout), (1, 5_000 * MS));
    stage.deliveries(0);
    stage.lifecycle.shut_down(request(None, Some(6_000 * MS)), 2).expect("open");
    assert_eq!((times().hooks_timeout, stage.deliveries(0)), (5_000 * MS, 0));
    stage.lifecycle.shut_down(request(None, Some(7)), 2).expect("open");
    assert_eq!((times().deadline, times().hooks_timeout, stage.deliveries(0)), (1, 7, 1));
}

#[test]
fn a_drained_member_has_hooks_timeout_for_its_last_hooks() {
    let stage = stage(3);
    let request =
        ShutdownRequest { timeout: Some(10), hooks_timeout: Some(20), ..ShutdownRequest::default() };
    stage.lifecycle.shut_down(request, 0).expect("open");
    let late_at = || stage.lifecycle.shutdown_times().expect("begun").late_at;
    assert_eq!(late_at(), Some(10));
    stage.lifecycle.drained(&stage.members[0], 4);
    stage.lifecycle.drained(&stage.members[1], 12);
    stage.lifecycle.drained(&stage.members[1], 13);
    assert_eq!(late_at(), Some(10), "the third member is silent");
    stage.lifecycle.give_up(10, 15);
    assert_eq!((stage.state(), late_at()), (LifecycleState::Draining, Some(24)));
    stage.report(0, 16);
    assert_eq!(late_at(), Some(32));
    stage.lifecycle.give_up(31, 31);
    assert_eq!(stage.state(), LifecycleState::Draining);
    stage.lifecycle.give_up(32, 32);
    assert_eq!((stage.state(), late_at()), (LifecycleState::Stopped, None));
    let responded: Vec<_> = stage.result().threads.iter().map(|thread| thread.responded).collect();
    assert_eq!(responded, [true, false, false]);
}

#[test]
fn a_thread_with_reset_connections_is_not_drained() {
    let stage = stage(1);
    stage.shut_down(10, 0);
    let end = MemberEnd { connections_reset: 3, ..MemberEnd::default() };
    stage.lifecycle.report(&stage.members[0], end, 1);
    let [thread] = &stage.result().threads[..] else { panic!("one thread") };
    assert_eq!((thread.connections_reset, thread.responded, thread.is_drained()), (3, true, false));
}

#[test]
fn a_member_that_joins_during_a_shutdown_is_not_part_of_it() {
    let stage = stage(1);
    stage.shut_down(10, 0);
    let mailbox = Arc::new(Mailbox::new(ThreadId(9), Box::new(|| ())));
    let late = stage.lifecycle.join(Arc::<Mailbox>::clone(&mailbox), 1, 9).expect("open");
    stage.lifecycle.report(&late, MemberEnd { forced: 5, ..MemberEnd::default() }, 1);
    stage.report(0, 1);
    assert_eq!(stage.result().threads.len(), 1);
    assert_eq!(mailbox.take().len(), 1, "it is notified of the end");
}

#[test]
fn a_token_is_cancelled_alone_with_its_parent_or_by_a_shutdown() {
    let stage = stage(1);
    let jobs = stage.lifecycle.child("jobs").expect("open");
    let mail = jobs.child("mail");
    let cache = stage.lifecycle.child("cache").expect("open");
    assert!(Arc::ptr_eq(&mail, &stage.lifecycle.child("jobs").expect("open").child("mail")));
    assert_eq!([&jobs, &mail, &cache].map(|token| token.is_cancelled()), [Some(false); 3]);

    assert_eq!(stage.lifecycle.cancel(&jobs, Some("enough")), Ok(true));
    assert_eq!(stage.lifecycle.cancel(&jobs, Some("again")), Ok(false));
    assert_eq!(stage.lifecycle.cancel(&mail, Some("below")), Ok(false), "it is cancelled with its parent");
    assert_eq!(
        [&jobs, &mail, &cache].map(|token| token.is_cancelled()),
        [Some(true), Some(true), Some(false)]
    );
    assert_eq!((mail.reason().as_deref(), cache.reason(), stage.deliveries(0)), (Some("enough"), None, 1));
    assert_eq!(stage.lifecycle.is_cancelled(), Ok(false));

    stage.shut_down(1, 0);
    assert_eq!(cache.is_cancelled(), Some(true));
}

#[test]
fn close_notifies_members_and_later_calls_are_closed() {
    let stage = stage(1);
    let token = stage.lifecycle.child("jobs").expect("open");
    stage.shut_down(10, 0);
    stage.deliveries(0);
    stage.lifecycle.close();
    assert_eq!(stage.deliveries(0), 1);
    assert_eq!(stage.lifecycle.state().expect_err("closed").code(), "CLOSED");
    assert_eq!(stage.lifecycle.ready().expect_err("closed").code(), "CLOSED");
    assert_eq!(stage.lifecycle.shutdown_report().expect_err("closed").code(), "CLOSED");
    assert_eq!(token.is_cancelled(), None);
}

#[test]
fn concurrent_shut_downs_are_one_with_the_reason_of_one_caller() {
    let stage = stage(4);
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let stage = &stage;
            scope.spawn(move || {
                let request =
                    ShutdownRequest { reason: Some(caller.to_string()), ..ShutdownRequest::default() };
                stage.lifecycle.shut_down(request, 0).expect("open");
                stage.report(caller, 1);
            });
        }
    });
    let ShutdownReport { reason, threads, .. } = stage.result();
    assert_eq!((stage.state(), threads.len()), (LifecycleState::Stopped, 4));
    assert!(["0", "1", "2", "3"].contains(&reason.as_deref().expect("given")));
}
