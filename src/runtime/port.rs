//! One loaded copy of the package's JavaScript in a thread: its mailbox, and the arrays it shares with native code.

mod calls;
mod places;
mod references;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi::sys;
use sluice_core::VersionCells;
use sluice_core::deliveries::Mailbox;

pub(crate) use self::calls::export;
use self::places::Places;
pub(crate) use self::places::{INTEGERS, NUMBERS, Place};
use self::references::References;
use crate::runtime::message_numbers::MessageNumbers;
use crate::runtime::presence;
use crate::runtime::seam::Layout;
use crate::runtime::thread::Thread;
use crate::runtime::waker::Waker;

/// One loaded copy of the package's JavaScript in a thread.
pub(crate) struct Port {
    thread: *const Thread,
    env: sys::napi_env,
    mailbox: Arc<Mailbox>,
    waker: Arc<Waker>,
    /// What the JavaScript of this port reads without a call.
    pub(crate) versions: Arc<VersionCells>,
    places: Places,
    /// Where the numbers of messages are handed over.
    pub(crate) message_numbers: MessageNumbers,
    error_class: Cell<sys::napi_ref>,
    /// What the waker calls.
    on_wake: Cell<sys::napi_ref>,
    references: Rc<References>,
}

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
            places: Places::default(),
            message_numbers: MessageNumbers::default(),
            error_class: Cell::new(std::ptr::null_mut()),
            on_wake: Cell::new(std::ptr::null_mut()),
            references: References::of(env)?,
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
    #[inline(always)]
    pub(crate) fn write<T: Layout>(&self, values: T) {
        self.places.write(values);
    }

    /// Reads a layout that JavaScript wrote before the call.
    #[inline(always)]
    pub(crate) fn read<T: Layout>(&self) -> T {
        self.places.read()
    }

    /// The function that the waker calls. A reference that does not keep it.
    pub(crate) fn on_wake(&self) -> sys::napi_ref {
        self.on_wake.get()
    }

    /// Holds a reference until this copy of our JavaScript is gone, or its environment ends.
    pub(crate) fn hold(&self, reference: sys::napi_ref) {
        self.references.hold_for_copy(reference);
    }

    /// The copy was collected. In its thread.
    fn retire(&self) {
        self.mailbox.close();
        self.waker.detach(true);
        presence::remove_port(self.thread().id, &self.mailbox);
        // Before the references that keep what they point into.
        self.places.detach();
        self.message_numbers.forget();
        self.error_class.set(std::ptr::null_mut());
        self.on_wake.set(std::ptr::null_mut());
        self.references.delete_of_copy();
    }

    /// The class of errors, or null before `attach`.
    pub(crate) fn error_class(&self) -> sys::napi_ref {
        self.error_class.get()
    }
}
