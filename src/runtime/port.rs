//! One loaded copy of the package's JavaScript in a thread: its mailbox, and the arrays it shares with native code.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use napi::bindgen_prelude::{Env, Result};
use napi::{check_status, sys};
use sluice_core::VersionCells;
use sluice_core::deliveries::Mailbox;

use crate::runtime::message_numbers::MessageNumbers;
use crate::runtime::numbers::{double, integer};
use crate::runtime::presence;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::Layout;
use crate::runtime::thread::{self, Thread};
use crate::runtime::waker::Waker;

/// One loaded copy of the package's JavaScript in a thread.
pub(crate) struct Port {
    thread: *const Thread,
    env: sys::napi_env,
    mailbox: Arc<Mailbox>,
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

/// How many numbers cross beside the arguments of a call. A number in an array costs less than an argument.
pub(crate) const NUMBERS: usize = 21;

impl Port {
    /// The port of an environment that loads the addon.
    pub(super) fn new(
        env: &Env,
        thread: *const Thread,
        mailbox: Arc<Mailbox>,
        waker: Arc<Waker>,
    ) -> Result<Self> {
        // SAFETY: the caller's thread, which lives.
        let versions = Arc::clone(unsafe { &(*thread).versions });
        Ok(Self {
            thread,
            env: env.raw(),
            mailbox,
            waker,
            versions,
            numbers: Cell::new(std::ptr::null_mut()),
            message_numbers: MessageNumbers::default(),
            error_class: Cell::new(std::ptr::null_mut()),
            on_wake: Cell::new(std::ptr::null_mut()),
            references: references_of(env)?,
        })
    }

    /// The environment that it was loaded by.
    pub(super) fn env(&self) -> sys::napi_env {
        self.env
    }

    /// Runs `body` on the mailbox of each copy that this thread loaded before this one. They keep the thread alive no
    /// longer.
    pub(crate) fn dismiss_earlier_copies(&self, body: impl Fn(&Arc<Mailbox>)) {
        let ports = self.thread().ports.borrow();
        for port in ports.iter().take_while(|port| !std::ptr::eq(&raw const ***port, self)) {
            body(&port.mailbox);
            // Fails where the copy is gone, and with it its waker.
            let _ = port.waker.keep_alive(port.env, false);
        }
    }

    /// The mailbox that its JavaScript reads.
    pub(crate) fn mailbox(&self) -> Arc<Mailbox> {
        Arc::clone(&self.mailbox)
    }

    /// What wakes the JavaScript of this port.
    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    pub(crate) fn thread(&self) -> &Thread {
        // SAFETY: a thread's ports are freed with it, by its clean-up hook, after its last JavaScript ran.
        unsafe { &*self.thread }
    }

    /// Writes a layout where the JavaScript of this port reads it after the call.
    #[inline]
    pub(crate) fn write<T: Layout>(&self, values: T) {
        const { assert!(T::FIRST + T::LENGTH <= NUMBERS) };
        let shared = self.numbers.get();
        if !shared.is_null() {
            // SAFETY: `attach` checked the array's length, and a reference keeps it in place until the environment ends.
            // A layout is `f64`s only, so the array's alignment is enough.
            unsafe { shared.add(T::FIRST).cast::<T>().write(values) };
        }
    }

    /// Reads a layout that JavaScript wrote before the call.
    #[inline]
    pub(crate) fn read<T: Layout>(&self) -> T {
        const { assert!(T::FIRST + T::LENGTH <= NUMBERS) };
        let shared = self.numbers.get();
        if shared.is_null() {
            // SAFETY: any bits are a valid layout.
            return unsafe { std::mem::zeroed() };
        }
        // SAFETY: as in `write`.
        unsafe { shared.add(T::FIRST).cast::<T>().read() }
    }

    /// The function that the waker calls. A reference that does not keep it.
    pub(crate) fn on_wake(&self) -> sys::napi_ref {
        self.on_wake.get()
    }

    /// Holds a reference until this copy of our JavaScript is gone, or its environment ends.
    pub(crate) fn hold(&self, reference: sys::napi_ref) {
        self.references.hold(&self.references.of_copy, reference);
    }

    /// The copy was collected. In its thread.
    fn retire(&self) {
        self.mailbox.close();
        self.waker.detach(true);
        presence::remove_port(self.thread().id, &self.mailbox);
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

pub(crate) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function(
        "attachThread(onWake: () => void, numbers: Float64Array, errorClass: unknown, threadId: number, memory: number): 0 | 1",
        attach_thread,
    )?;
    exports.function("keepCopy(keeps: 0 | 1): void", keep_copy)?;
    exports.function("keepForThread(value: unknown): void", keep_for_thread)?;
    exports.function("keepThreadAlive(keeps: 0 | 1): void", keep_thread_alive)?;
    exports.function("versionCells(): ArrayBuffer | undefined", version_cells)?;
    exports.function("referencesHeld(): number", references_held)
}

/// `attachThread(onRing, numbers: Float64Array, SluiceError, threadId, memory)`: completes the port; 1 when it is
/// the first of its thread. `memory` is what the process can use of the machine's, in bytes.
unsafe extern "C" fn attach_thread(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<5>::answer(env, info, |call| {
        let env = Env::from_raw(call.env);
        sluice_core::runtime::memory::set_available(integer(call.f64(4)?));
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
        presence::name(port.thread().id, call.u32(3)?);
        call.int(i32::from(port.thread().ports.borrow().len() == 1))
    })
}

/// The function that the waker called was collected, and with it the copy.
unsafe extern "C" fn copy_is_gone(_: sys::napi_env, port: *mut c_void, _: *mut c_void) {
    // A panic must not cross into Node.
    let _ = std::panic::catch_unwind(|| {
        // Without a thread its ports are gone: the environment ends, and collects everything.
        if thread::current().is_ok() {
            // SAFETY: ports are freed with their thread, which lives.
            unsafe { &*port.cast::<Port>() }.retire();
        }
    });
}

/// `keepCopy(keeps)`: whether native code keeps this copy of the JavaScript in memory, for its subscriptions.
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

/// `keepForThread(value)`: keeps a value as long as the thread runs, even if the copy is collected.
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

/// `keepThreadAlive(keeps)`: whether the thread stays alive for deliveries of other threads alone.
unsafe extern "C" fn keep_thread_alive(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let keeps = call.u32(0)? == 1;
        call.port.waker.keep_alive(call.env, keeps)?;
        call.undefined()
    })
}

/// `versionCells()`: the memory of this port's versions as an `ArrayBuffer`; undefined where the
/// runtime does not allow buffers of native memory.
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
    Call::<0>::answer(env, info, |call| call.number(double(REFERENCES.load(Ordering::Relaxed))))
}
