//! The threads that have loaded the addon, as other threads see them.

use std::sync::{Arc, LazyLock};

use dashmap::DashMap;
use sluice_core::ThreadId;
use sluice_core::deliveries::{Item, Mailbox};

use crate::runtime::waker::Waker;

/// What other threads know of a thread.
struct Presence {
    /// Node's `threadId`.
    thread_id: u32,
    ports: Vec<(Arc<Mailbox>, Arc<Waker>)>,
}

static PRESENT: LazyLock<DashMap<ThreadId, Presence>> = LazyLock::new(DashMap::new);

/// Node's id of the thread behind an id; none once it has ended.
pub(crate) fn thread_id_of(id: ThreadId) -> Option<u32> {
    PRESENT.get(&id).map(|presence| presence.thread_id)
}

/// Sends an item to every thread.
pub(crate) fn notify_all(item: &Item) {
    let ports: Vec<_> = PRESENT.iter().flat_map(|presence| presence.ports.clone()).collect();
    for (mailbox, _) in ports {
        mailbox.push(0, item.clone());
    }
}

/// Drops the pending events of all threads.
pub(crate) fn drop_events() {
    let ports: Vec<_> = PRESENT.iter().flat_map(|presence| presence.ports.clone()).collect();
    for (mailbox, _) in ports {
        mailbox.drop_events();
    }
}

/// A thread has loaded the addon.
pub(crate) fn add(id: ThreadId) {
    PRESENT.insert(id, Presence { thread_id: 0, ports: Vec::new() });
}

/// A copy of our JavaScript was loaded in a thread.
pub(crate) fn add_port(id: ThreadId, mailbox: &Arc<Mailbox>, waker: &Arc<Waker>) {
    if let Some(mut presence) = PRESENT.get_mut(&id) {
        presence.ports.push((Arc::clone(mailbox), Arc::clone(waker)));
    }
}

/// A copy of our JavaScript was collected.
pub(crate) fn remove_port(id: ThreadId, mailbox: &Arc<Mailbox>) {
    if let Some(mut presence) = PRESENT.get_mut(&id) {
        presence.ports.retain(|(known, _)| !Arc::ptr_eq(known, mailbox));
    }
}

/// Node's id of a thread became known.
pub(crate) fn name(id: ThreadId, thread_id: u32) {
    if let Some(mut presence) = PRESENT.get_mut(&id) {
        presence.thread_id = thread_id;
    }
}

/// The thread behind Node's id.
pub(crate) fn find(thread_id: u32) -> Option<ThreadId> {
    PRESENT.iter().find(|presence| presence.thread_id == thread_id).map(|presence| *presence.key())
}

/// A thread ends: closes its mailboxes and detaches its wakers. False when that was done before.
pub(crate) fn remove(id: ThreadId, in_its_own_thread: bool) -> bool {
    let Some((_, presence)) = PRESENT.remove(&id) else { return false };
    for (mailbox, waker) in presence.ports {
        mailbox.close();
        waker.detach(in_its_own_thread);
    }
    true
}
