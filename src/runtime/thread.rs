//! What one thread holds, and its end.
//!
//! A thread enters when it first loads the addon and leaves by the clean-up hook of its environment:
//! after `return`, `terminate()`, `process.exit()`, an uncaught error or the end of its heap. The hook releases
//! everything that the thread held, in the thread itself. Loading the addon again in the same thread (a test runner
//! that resets modules) adds a port, not a second thread.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use napi::bindgen_prelude::{Env, Error, Result, Status};
use napi::{check_status, sys};
use sluice_core::deliveries::Mailbox;
use sluice_core::{OptionChange, ThreadId, VersionCells};

use crate::components::Handles;
use crate::runtime::memory::Reports;
use crate::runtime::port::Port;
use crate::runtime::presence;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::waker::Waker;

/// What one thread holds.
pub(crate) struct Thread {
    pub(crate) id: ThreadId,
    handles: Handles,
    /// The versions of its registries, by handle: what JavaScript reads without a call.
    pub(super) versions: Arc<VersionCells>,
    /// The native memory that V8 knows of.
    pub(crate) memory: Reports,
    /// What the last instance that was opened has changed.
    pub(crate) option_changes: RefCell<Vec<OptionChange>>,
    #[expect(clippy::vec_box, reason = "callbacks keep the addresses of ports")]
    pub(super) ports: RefCell<Vec<Box<Port>>>,
}

/// Registries of a thread whose versions are shown in shared memory. Beyond that, JavaScript calls for them.
const VERSIONS: usize = 1_024;

/// What releases a thread's part in every component.
static ON_END: OnceLock<fn(ThreadId)> = OnceLock::new();

thread_local! {
    static CURRENT: Cell<*const Thread> = const { Cell::new(std::ptr::null()) };
}

impl Thread {
    /// Reports changes of native memory to V8. In this thread, while its environment runs.
    pub(crate) fn report_memory(&self) {
        let env = self.ports.borrow().first().map(|port| port.env());
        if let Some(env) = env {
            self.memory.bring_up_to_date(env);
        }
    }
}

/// A thread's handles of each component.
impl Deref for Thread {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.handles
    }
}

/// The current thread, if it has loaded the addon and not ended.
pub(crate) fn current() -> Result<&'static Thread> {
    let thread = CURRENT.get();
    // SAFETY: set while the thread's environment lives; callers run in it and return before it ends.
    unsafe { thread.as_ref() }
        .ok_or_else(|| Error::new(Status::GenericFailure, "sluice: this thread has ended"))
}

/// The port of the copy that calls.
pub(crate) fn port_of(env: &Env) -> Result<&'static Port> {
    let ports = current()?.ports.borrow();
    let port = ports.iter().find(|port| port.env() == env.raw()).map(|port| &raw const **port);
    // SAFETY: ports are boxed and freed only with their thread.
    port.map(|port| unsafe { &*port })
        .ok_or_else(|| Error::new(Status::GenericFailure, "sluice: loaded by another environment"))
}

/// Registers the loading environment; the thread's clean-up hook with its first. `on_end` releases what the
/// components hold for a thread.
pub(crate) fn enter(env: &Env, on_end: fn(ThreadId)) -> Result<&'static Port> {
    ON_END.get_or_init(|| on_end);
    if CURRENT.get().is_null() {
        start_thread(env)?;
    }
    let thread = current()?;
    let waker = Arc::new(Waker::default());
    let waking = Arc::clone(&waker);
    let mailbox = Arc::new(Mailbox::new(thread.id, Box::new(move || waking.wake())));
    presence::add_port(thread.id, &mailbox, &waker);
    let port = Port::new(env, thread, mailbox, waker)?;
    thread.ports.borrow_mut().push(Box::new(port));
    port_of(env)
}

fn start_thread(env: &Env) -> Result<()> {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    let id = ThreadId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
    let thread = Box::into_raw(Box::new(Thread {
        id,
        handles: Handles::default(),
        versions: Arc::new(VersionCells::new(VERSIONS)),
        memory: Reports::default(),
        option_changes: RefCell::new(Vec::new()),
        ports: RefCell::new(Vec::new()),
    }));
    CURRENT.set(thread);
    presence::add(id);
    // SAFETY: the hook runs once, in this thread, and is the only one to free `thread`.
    check_status!(unsafe { sys::napi_add_env_cleanup_hook(env.raw(), Some(leave), thread.cast()) })
}

/// The environment ends: no JavaScript of it runs any more.
unsafe extern "C" fn leave(thread: *mut c_void) {
    // A panic must not cross into Node. It would skip the rest of this function.
    let _ = std::panic::catch_unwind(|| {
        CURRENT.set(std::ptr::null());
        // SAFETY: `thread` comes from `Box::into_raw` in `start_thread`, and this hook runs once.
        let thread = unsafe { Box::from_raw(thread.cast::<Thread>()) };
        release(thread.id, true);
    });
}

/// Releases everything that a thread held. Once for each thread.
fn release(id: ThreadId, in_its_own_thread: bool) {
    if presence::remove(id, in_its_own_thread)
        && let Some(on_end) = ON_END.get()
    {
        on_end(id);
    }
}

pub(crate) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("reapThread(threadId: number): void", reap_thread)
}

/// `reapThread(threadId)`: releases what a worker held that has exited, for runtimes that skip its clean-up hook.
unsafe extern "C" fn reap_thread(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let thread_id = call.u32(0)?;
        if let Some(id) = presence::find(thread_id) {
            release(id, false);
        }
        call.undefined()
    })
}
