//! What one thread holds, and its end.
//!
//! A thread enters when it first loads the addon and leaves by the clean-up hook of its environment:
//! after `return`, `terminate()`, `process.exit()`, an uncaught error or the end of its heap. Whatever it
//! held is released there, in its own thread. Loading the addon again in the same thread (a test runner
//! that resets modules) adds a port, not a second thread.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use dashmap::DashMap;
use napi::bindgen_prelude::{Env, Error, Result, Status};
use napi::{check_status, sys};
use sluice_core::client_key::ClientAddress;
use sluice_core::runtime::mailbox::{Item, Mailbox};
use sluice_core::{
    CircuitBreaker, ClientHub, ConnectionTracker, Guard, LocalHandle, OptionChange, Registry, Reputation,
    SecurityMonitor, ThreadId, VersionCells,
};

use crate::broker::{Membership, MessageNumbers};
use crate::runtime::memory::Reports;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::slab::Slab;
use crate::runtime::waker::Waker;
use crate::{
    broker, circuit_breaker, client_hub, connection_tracker, lifecycle, listen, registry, security_monitor,
};

/// One thread's handles.
pub(crate) struct Thread {
    pub(crate) id: ThreadId,
    pub(crate) breakers: RefCell<Slab<Arc<CircuitBreaker>>>,
    pub(crate) hubs: RefCell<Slab<Arc<ClientHub>>>,
    pub(crate) limiters: RefCell<Slab<LocalHandle>>,
    pub(crate) trackers: RefCell<Slab<Arc<ConnectionTracker>>>,
    pub(crate) registries: RefCell<Slab<Arc<Registry>>>,
    pub(crate) reputations: RefCell<Slab<Arc<Reputation>>>,
    pub(crate) client_addresses: RefCell<Slab<Arc<ClientAddress>>>,
    pub(crate) guards: RefCell<Slab<Arc<Guard>>>,
    pub(crate) lifecycles: RefCell<Slab<Arc<lifecycle::Part>>>,
    pub(crate) tokens: RefCell<Slab<Arc<lifecycle::Child>>>,
    pub(crate) monitors: RefCell<Slab<Arc<SecurityMonitor>>>,
    /// The versions of its registries, by handle: what JavaScript reads without a call.
    versions: Arc<VersionCells>,
    /// What it has told V8 of native memory.
    pub(crate) memory: Reports,
    /// By handle. They end when they are left, not when objects are collected.
    memberships: RefCell<Vec<Option<Membership>>>,
    /// What the last instance that was opened has changed.
    pub(crate) option_changes: RefCell<Vec<OptionChange>>,
    #[expect(clippy::vec_box, reason = "callbacks keep the addresses of ports")]
    ports: RefCell<Vec<Box<Port>>>,
}

/// One loaded copy of our JavaScript in a thread: where it is reached, and where it leaves and reads numbers.
pub(crate) struct Port {
    thread: *const Thread,
    env: sys::napi_env,
    pub(crate) mailbox: Arc<Mailbox>,
    waker: Arc<Waker>,
    /// What the JavaScript of this port reads without a call.
    pub(crate) versions: Arc<VersionCells>,
    numbers: Cell<*mut f64>,
    /// Where the numbers of messages are handed over.
    pub(crate) message_numbers: MessageNumbers,
    error_class: Cell<sys::napi_ref>,
    /// What the waker calls.
    on_wake: Cell<sys::napi_ref>,
    references: Rc<References>,
}

/// References to objects of one environment. Node does not free them when the environment ends.
struct References {
    env: sys::napi_env,
    of_copy: RefCell<Vec<sys::napi_ref>>,
    of_environment: RefCell<Vec<sys::napi_ref>>,
}

impl References {
    fn hold(&self, list: &RefCell<Vec<sys::napi_ref>>, reference: sys::napi_ref) {
        list.borrow_mut().push(reference);
        // Relaxed: a count for tests, which publishes nothing.
        REFERENCES.fetch_add(1, Ordering::Relaxed);
    }

    fn delete(&self, list: &RefCell<Vec<sys::napi_ref>>) {
        for reference in list.take() {
            // SAFETY: made by this environment, which still exists; deleted once, and used by nothing afterwards.
            unsafe { sys::napi_delete_reference(self.env, reference) };
            REFERENCES.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// References of all living environments.
static REFERENCES: AtomicUsize = AtomicUsize::new(0);

/// How many numbers pass between JavaScript and a call beside its arguments: an argument costs more than
/// a number in an array.
pub(crate) const NUMBERS: usize = 21;

/// Registries of a thread whose versions it is shown; of more it asks.
const VERSIONS: usize = 1_024;

/// What other threads know of a thread.
struct Presence {
    /// Node's `threadId`.
    thread_id: u32,
    ports: Vec<(Arc<Mailbox>, Arc<Waker>)>,
}

static PRESENT: LazyLock<DashMap<ThreadId, Presence>> = LazyLock::new(DashMap::new);

thread_local! {
    static CURRENT: Cell<*const Thread> = const { Cell::new(std::ptr::null()) };
}

impl Thread {
    /// Tells V8 of what changed. In this thread, while its environment runs.
    pub(crate) fn report_memory(&self) {
        let env = self.ports.borrow().first().map(|port| port.env);
        if let Some(env) = env {
            self.memory.bring_up_to_date(env);
        }
    }

    /// Takes part in a broker; the handle of that part.
    pub(crate) fn join(&self, membership: Membership) -> u32 {
        let mut memberships = self.memberships.borrow_mut();
        let free = memberships.iter().position(Option::is_none).unwrap_or_else(|| {
            memberships.push(None);
            memberships.len() - 1
        });
        memberships[free] = Some(membership);
        free as u32
    }

    /// The part that ends; none when it has ended.
    pub(crate) fn leave(&self, handle: u32) -> Option<Membership> {
        self.memberships.borrow_mut().get_mut(handle as usize)?.take()
    }

    /// Ends the parts of one loaded copy. Their handles stay taken: that copy may still use them.
    pub(crate) fn leave_brokers(&self, mailbox: &Arc<Mailbox>) {
        for membership in self.memberships.borrow().iter().flatten() {
            if Arc::ptr_eq(&membership.mailbox, mailbox) {
                membership.broker.leave(&membership.peer);
            }
        }
    }

    /// Runs `body` on a part, without running JavaScript.
    pub(crate) fn with_membership<R>(&self, handle: u32, body: impl FnOnce(&Membership) -> R) -> Result<R> {
        match self.memberships.borrow().get(handle as usize) {
            Some(Some(membership)) => Ok(body(membership)),
            _ => Err(Error::new(Status::InvalidArg, "sluice: this part in a broker has ended")),
        }
    }
}

impl Port {
    /// The copies that this thread loaded before this one take part in brokers and lifecycles no longer, and keep the
    /// thread alive no longer.
    pub(crate) fn dismiss_those_before(&self) {
        let ports = self.thread().ports.borrow();
        for port in ports.iter().take_while(|port| !std::ptr::eq(&raw const ***port, self)) {
            lifecycle::dismiss(&port.mailbox);
            self.thread().leave_brokers(&port.mailbox);
            // Fails where the copy is gone, and with it its waker.
            let _ = port.waker.keep_alive(port.env, false);
        }
    }

    /// What wakes the JavaScript of this port.
    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    pub(crate) fn thread(&self) -> &Thread {
        // SAFETY: a thread's ports are freed with it, by its clean-up hook, after its last JavaScript ran.
        unsafe { &*self.thread }
    }

    /// Leaves numbers where the JavaScript of this port reads them after the call.
    pub(crate) fn leave<const N: usize>(&self, at: usize, numbers: [f64; N]) {
        const { assert!(N <= NUMBERS) };
        let shared = self.numbers.get();
        if !shared.is_null() && at + N <= NUMBERS {
            // SAFETY: `attach` checked the array's length, and a reference keeps it in place until the environment ends.
            unsafe { shared.add(at).cast::<[f64; N]>().write(numbers) };
        }
    }

    /// What JavaScript left from a place on before the call.
    #[inline]
    pub(crate) fn left<const N: usize>(&self, at: usize) -> [f64; N] {
        let shared = self.numbers.get();
        if shared.is_null() || at + N > NUMBERS {
            return [0.0; N];
        }
        // SAFETY: as in `leave`.
        unsafe { shared.add(at).cast::<[f64; N]>().read() }
    }

    /// The function that the waker calls. A reference that does not keep it.
    pub(crate) fn on_wake(&self) -> sys::napi_ref {
        self.on_wake.get()
    }

    /// Holds a reference until this copy of our JavaScript is gone, or its environment ends.
    pub(crate) fn hold(&self, reference: sys::napi_ref) {
        self.references.hold(&self.references.of_copy, reference);
    }

    /// No JavaScript of this copy is left, or none but a function that knows nothing of the rest. In its thread.
    fn retire(&self) {
        self.mailbox.close();
        self.waker.detach(true);
        if let Some(mut presence) = PRESENT.get_mut(&self.thread().id) {
            presence.ports.retain(|(mailbox, _)| !Arc::ptr_eq(mailbox, &self.mailbox));
        }
        // Before the references that keep what they point into.
        self.numbers.set(std::ptr::null_mut());
        self.message_numbers.forget();
        self.error_class.set(std::ptr::null_mut());
        self.on_wake.set(std::ptr::null_mut());
        self.references.delete(&self.references.of_copy);
    }

    /// The class of errors, or null before `attach`.
    pub(crate) fn error_class(&self) -> sys::napi_ref {
        self.error_class.get()
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
    let port = ports.iter().find(|port| port.env == env.raw()).map(|port| &raw const **port);
    // SAFETY: ports are boxed and freed only with their thread.
    port.map(|port| unsafe { &*port })
        .ok_or_else(|| Error::new(Status::GenericFailure, "sluice: loaded by another environment"))
}

/// Node's id of the thread behind an id; none once it has ended.
pub(crate) fn thread_id_of(id: ThreadId) -> Option<u32> {
    PRESENT.get(&id).map(|presence| presence.thread_id)
}

/// Leaves an item for every thread.
pub(crate) fn tell_all(item: &Item) {
    let ports: Vec<_> = PRESENT.iter().flat_map(|presence| presence.ports.clone()).collect();
    for (mailbox, _) in ports {
        mailbox.push(0, item.clone());
    }
}

/// Drops the events that wait for threads.
pub(crate) fn drop_events() {
    let ports: Vec<_> = PRESENT.iter().flat_map(|presence| presence.ports.clone()).collect();
    for (mailbox, _) in ports {
        mailbox.drop_events();
    }
}

/// Registers the loading environment; the thread's clean-up hook with its first.
pub(crate) fn enter(env: &Env) -> Result<&'static Port> {
    if CURRENT.get().is_null() {
        start_thread(env)?;
    }
    let thread = current()?;
    let waker = Arc::new(Waker::default());
    let waking = Arc::clone(&waker);
    let mailbox = Arc::new(Mailbox::new(thread.id, Box::new(move || waking.wake())));
    if let Some(mut presence) = PRESENT.get_mut(&thread.id) {
        presence.ports.push((Arc::clone(&mailbox), Arc::clone(&waker)));
    }
    let port = Port {
        thread,
        env: env.raw(),
        mailbox,
        waker,
        versions: Arc::clone(&thread.versions),
        numbers: Cell::new(std::ptr::null_mut()),
        message_numbers: MessageNumbers::default(),
        error_class: Cell::new(std::ptr::null_mut()),
        on_wake: Cell::new(std::ptr::null_mut()),
        references: references_of(env)?,
    };
    thread.ports.borrow_mut().push(Box::new(port));
    port_of(env)
}

/// Each load of the addon has its own environment, which may end before the thread's hook runs. So each environment
/// has a hook that deletes its references.
fn references_of(env: &Env) -> Result<Rc<References>> {
    let references = Rc::new(References {
        env: env.raw(),
        of_copy: RefCell::default(),
        of_environment: RefCell::default(),
    });
    let held = Rc::into_raw(Rc::clone(&references)).cast_mut().cast::<c_void>();
    // SAFETY: the hook runs once, in this thread, and takes over the pointer's ownership.
    check_status!(unsafe { sys::napi_add_env_cleanup_hook(env.raw(), Some(delete_references), held) })?;
    Ok(references)
}

unsafe extern "C" fn delete_references(references: *mut c_void) {
    // SAFETY: comes from `Rc::into_raw` in `references_of`, and this hook runs once.
    let references = unsafe { Rc::from_raw(references.cast::<References>()) };
    references.delete(&references.of_copy);
    references.delete(&references.of_environment);
}

fn start_thread(env: &Env) -> Result<()> {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    let id = ThreadId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
    let thread = Box::into_raw(Box::new(Thread {
        id,
        breakers: RefCell::new(Slab::new()),
        hubs: RefCell::new(Slab::new()),
        limiters: RefCell::new(Slab::new()),
        trackers: RefCell::new(Slab::new()),
        registries: RefCell::new(Slab::new()),
        reputations: RefCell::new(Slab::new()),
        monitors: RefCell::new(Slab::new()),
        client_addresses: RefCell::new(Slab::new()),
        guards: RefCell::new(Slab::new()),
        versions: Arc::new(VersionCells::new(VERSIONS)),
        memory: Reports::default(),
        memberships: RefCell::new(Vec::new()),
        option_changes: RefCell::new(Vec::new()),
        lifecycles: RefCell::new(Slab::new()),
        tokens: RefCell::new(Slab::new()),
        ports: RefCell::new(Vec::new()),
    }));
    CURRENT.set(thread);
    PRESENT.insert(id, Presence { thread_id: 0, ports: Vec::new() });
    // SAFETY: the hook runs once, in this thread, and is the only one to free `thread`.
    check_status!(unsafe { sys::napi_add_env_cleanup_hook(env.raw(), Some(leave), thread.cast()) })
}

/// The environment ends: no JavaScript of it runs any more.
unsafe extern "C" fn leave(thread: *mut c_void) {
    // A panic must not cross into Node; what is left undone then is the rest of this function.
    let _ = std::panic::catch_unwind(|| {
        CURRENT.set(std::ptr::null());
        // SAFETY: `thread` comes from `Box::into_raw` in `start_thread`, and this hook runs once.
        let thread = unsafe { Box::from_raw(thread.cast::<Thread>()) };
        release(thread.id, true);
    });
}

/// Gives back everything a thread held. Doing it twice does it once.
fn release(id: ThreadId, in_its_own_thread: bool) {
    let Some((_, presence)) = PRESENT.remove(&id) else { return };
    for (mailbox, waker) in presence.ports {
        mailbox.close();
        waker.detach(in_its_own_thread);
    }
    broker::thread_ended(id);
    circuit_breaker::thread_ended(id);
    client_hub::thread_ended(id);
    connection_tracker::thread_ended(id);
    lifecycle::thread_ended(id);
    registry::thread_ended(id);
    security_monitor::thread_ended(id);
    listen::thread_ended(id);
    listen::queue::thread_ended(id);
}

pub(crate) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("attachThread", attach_thread)?;
    exports.function("keepCopy", keep_copy)?;
    exports.function("keepForThread", keep_for_thread)?;
    exports.function("keepThreadAlive", keep_thread_alive)?;
    exports.function("versionCells", version_cells)?;
    exports.function("reapThread", reap_thread)?;
    exports.function("referencesHeld", references_held)
}

/// `attachThread(onRing, numbers: Float64Array, SluiceError, threadId, memory)`: completes the port; 1 when it is
/// the first of its thread. `memory` is what the process can use of the machine's, in bytes.
unsafe extern "C" fn attach_thread(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<5>::answer(env, info, |call| {
        let env = Env::from_raw(call.env);
        sluice_core::runtime::memory::set_available(call.f64(4)? as u64);
        let port = call.port;
        port.on_wake.set(call.reference(0, false)?);
        port.waker.attach(&env, port)?;
        port.numbers.set(call.pinned_floats(1, NUMBERS)?);
        port.error_class.set(call.reference(2, false)?);
        let owned = (&raw const *port).cast_mut().cast::<c_void>();
        // SAFETY: `copy_is_gone` looks whether the port still lives before it touches it.
        check_status!(unsafe {
            sys::napi_add_finalizer(
                call.env,
                call.args[0],
                owned,
                Some(copy_is_gone),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        })?;
        let thread_id = call.u32(3)?;
        if let Some(mut presence) = PRESENT.get_mut(&port.thread().id) {
            presence.thread_id = thread_id;
        }
        call.int(i32::from(port.thread().ports.borrow().len() == 1))
    })
}

/// The function that the waker called was collected, with the copy of our JavaScript that it was of.
unsafe extern "C" fn copy_is_gone(_: sys::napi_env, port: *mut c_void, _: *mut c_void) {
    // A panic must not cross into Node.
    let _ = std::panic::catch_unwind(|| {
        // Without a thread its ports are gone: the environment ends, and collects everything.
        if current().is_ok() {
            // SAFETY: ports are freed with their thread, which lives.
            unsafe { &*port.cast::<Port>() }.retire();
        }
    });
}

/// `keepCopy(keeps)`: whether this copy of our JavaScript lives on for what it is told, with nobody holding it.
unsafe extern "C" fn keep_copy(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let reference = call.port.on_wake();
        // SAFETY: a reference of this environment.
        check_status!(unsafe {
            if call.u32(0)? == 1 {
                sys::napi_reference_ref(call.env, reference, std::ptr::null_mut())
            } else {
                sys::napi_reference_unref(call.env, reference, std::ptr::null_mut())
            }
        })?;
        call.undefined()
    })
}

/// `keepForThread(value)`: keeps a value as long as the thread runs, whatever becomes of the copy.
unsafe extern "C" fn keep_for_thread(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let mut reference = std::ptr::null_mut();
        // SAFETY: an argument of the running callback.
        check_status!(unsafe { sys::napi_create_reference(call.env, call.args[0], 1, &mut reference) })?;
        let references = &call.port.references;
        references.hold(&references.of_environment, reference);
        call.undefined()
    })
}

/// `keepThreadAlive(keeps)`: whether this thread goes on for what others may tell it, with nothing else to do.
unsafe extern "C" fn keep_thread_alive(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let keeps = call.u32(0)? == 1;
        call.port.waker.keep_alive(call.env, keeps)?;
        call.undefined()
    })
}

/// `versionCells()`: the memory of this port's versions as an `ArrayBuffer`; undefined where the runtime lets
/// nobody show it native memory.
unsafe extern "C" fn version_cells(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let cells = Arc::clone(&call.port.versions);
        let (memory, length) = (cells.as_ptr().cast_mut().cast::<c_void>(), 4 * cells.len());
        let held = Arc::into_raw(cells).cast_mut().cast::<c_void>();
        let mut buffer = std::ptr::null_mut();
        // SAFETY: the memory is that of `held`, which `drop_version_cells` gives up when the buffer is gone.
        // JavaScript reads it by `Atomics.load`, as others write it.
        let status = unsafe {
            sys::napi_create_external_arraybuffer(
                call.env,
                memory,
                length,
                Some(drop_version_cells),
                held,
                &mut buffer,
            )
        };
        if status == sys::Status::napi_ok {
            return Ok(buffer);
        }
        // SAFETY: no buffer was made that would give it up.
        drop(unsafe { Arc::from_raw(held.cast::<VersionCells>()) });
        call.undefined()
    })
}

unsafe extern "C" fn drop_version_cells(_: sys::napi_env, _: *mut c_void, held: *mut c_void) {
    // SAFETY: `held` comes from `Arc::into_raw` in `version_cells`, and a finalizer runs once.
    drop(unsafe { Arc::from_raw(held.cast::<VersionCells>()) });
}

/// `referencesHeld()`: references to objects of all threads' environments that live. For tests.
unsafe extern "C" fn references_held(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| call.number(REFERENCES.load(Ordering::Relaxed) as f64))
}

/// `reapThread(threadId)`: the second line, for runtimes that skip the hook of a terminated worker.
unsafe extern "C" fn reap_thread(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let thread_id = call.u32(0)?;
        let gone =
            PRESENT.iter().find(|presence| presence.thread_id == thread_id).map(|presence| *presence.key());
        if let Some(id) = gone {
            release(id, false);
        }
        call.undefined()
    })
}
