//! The thread: connects, and connects again.

use std::sync::Arc;
use std::time::Duration;

use sluice_core::runtime::clock;

use super::replica::Replica;
use super::session::{End, Session};
use super::{LinkState, Shared};
use crate::back_off::BackOff;
use crate::link::connect;
use crate::places::Places;

/// How long what was changed before the end is still sent.
const FINISH: Duration = Duration::from_millis(100);

/// Until nothing is shared any more.
pub(super) fn run(shared: &Arc<Shared>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(keep_connected(shared)),
        Err(error) => {
            shared.status.failed(format!("no event loop for the connection: {error}"));
            shared.status.set_state(LinkState::Away);
        }
    }
}

async fn keep_connected(shared: &Shared) {
    let (mut back_off, mut replica, mut places) = (BackOff::default(), Replica::default(), Places::default());
    while !shared.status.is_closing() {
        let wait = back_off.next(fastrand::f64());
        if while_waiting(shared, tokio::time::sleep(wait)).await.is_none() {
            return;
        }
        let place = places.next(&shared.server.0);
        let Some(attempt) = while_waiting(shared, connect(&place, None)).await else { return };
        match attempt {
            Err(why) => {
                places.failed();
                shared.status.failed(why);
                shared.status.set_state(LinkState::Away);
            }
            Ok(connected) => {
                shared.status.connected(&connected);
                let mut session = Session::new(shared, connected, &mut replica);
                let end = session.run().await;
                if end == End::Closing {
                    let _ = tokio::time::timeout(FINISH, session.finish()).await;
                    return;
                }
                if shared.status.state() == LinkState::Ready {
                    back_off.reset();
                }
                shared.status.set_state(LinkState::Away);
                match end {
                    End::Moved(to) => places.moved(to),
                    _ => places.failed(),
                }
            }
        }
    }
}

/// Awaits `what`, while bans end. `None` when nothing is shared any more.
async fn while_waiting<F: Future>(shared: &Shared, what: F) -> Option<F::Output> {
    tokio::pin!(what);
    loop {
        if shared.status.is_closing() {
            return None;
        }
        shared.reputation.expire_bans(clock::now());
        tokio::select! {
            output = &mut what => return Some(output),
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}
