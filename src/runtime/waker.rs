//! How any thread wakes the JavaScript of another: one weak thread-safe function per loaded copy.
//!
//! Node aborts when a thread-safe function is called after its environment has ended. So the pointer is
//! read and called under one lock, and taken away under the same lock by the environment's own hook,
//! which runs before Node deletes the function.

use std::ffi::c_void;
use std::ptr;

use napi::bindgen_prelude::{Env, Result};
use napi::{check_status, sys};
use parking_lot::Mutex;

use crate::runtime::port::Port;

/// The waker of one environment. Does nothing before it is attached and after it is detached.
#[derive(Debug, Default)]
pub(crate) struct Waker(Mutex<Option<Function>>);

#[derive(Debug)]
struct Function(sys::napi_threadsafe_function);

// SAFETY: Node-API allows a thread-safe function to be called from any thread while its environment
// lives, which the lock around it ensures.
unsafe impl Send for Function {}

/// With the feature `slow-waker`, for tests: every other wake sleeps before the lock and while it is held. The lock is there
/// for threads that end in that moment, and the window is too short for ordinary load to hit it.
#[cfg(feature = "slow-waker")]
fn slow_down() {
    use std::sync::atomic::{AtomicU32, Ordering};

    static STEPS: AtomicU32 = AtomicU32::new(0);
    if STEPS.fetch_add(1, Ordering::Relaxed) % 4 < 2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[cfg(not(feature = "slow-waker"))]
const fn slow_down() {}

/// In the thread of the waker. Without an environment, Node is emptying the queue of a thread that ends.
unsafe extern "C" fn on_wake(env: sys::napi_env, _: sys::napi_value, port: *mut c_void, _: *mut c_void) {
    if env.is_null() {
        return;
    }
    // SAFETY: ports live as long as their environment runs.
    let port = unsafe { &*port.cast::<Port>() };
    let (mut function, mut receiver) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: Node calls this in a scope of the environment. What the function throws stays pending, for Node to report.
    unsafe {
        let found = sys::napi_get_reference_value(env, port.on_wake(), &mut function);
        if found != sys::Status::napi_ok || function.is_null() {
            return;
        }
        sys::napi_get_undefined(env, &mut receiver);
        sys::napi_call_function(env, receiver, function, 0, ptr::null(), ptr::null_mut());
    }
}

impl Waker {
    /// From now on wakes the thread by calling `port`'s function, while it exists. Keeps neither alive.
    pub(crate) fn attach(&self, env: &Env, port: &Port) -> Result<()> {
        let name = env.create_string("sluice")?;
        let mut function = ptr::null_mut();
        let context = (&raw const *port).cast_mut().cast::<c_void>();
        // SAFETY: `env` is the current environment. `on_wake` reads the port while the environment lives, and the port
        // lives as long.
        check_status!(unsafe {
            sys::napi_create_threadsafe_function(
                env.raw(),
                ptr::null_mut(),
                ptr::null_mut(),
                napi::JsValue::raw(&name),
                0,
                1,
                ptr::null_mut(),
                None,
                context,
                Some(on_wake),
                &mut function,
            )
        })?;
        // SAFETY: just created, in this thread.
        check_status!(unsafe { sys::napi_unref_threadsafe_function(env.raw(), function) })?;
        *self.0.lock() = Some(Function(function));
        Ok(())
    }

    /// Wakes the thread. Never blocks on it.
    pub(crate) fn wake(&self) {
        slow_down();
        if let Some(Function(function)) = &*self.0.lock() {
            slow_down();
            // SAFETY: its environment lives: `detach` waits for this lock before Node may delete it.
            // A full queue cannot be (it is unbounded), and a closing environment needs no news.
            unsafe {
                sys::napi_call_threadsafe_function(
                    *function,
                    ptr::null_mut(),
                    sys::ThreadsafeFunctionCallMode::nonblocking,
                )
            };
        }
    }

    /// Whether the waker keeps its thread alive: while calls or listeners there are pending. In its own thread.
    pub(crate) fn keep_alive(&self, env: sys::napi_env, keeps: bool) -> Result<()> {
        let Some(Function(function)) = *self.0.lock() else { return Ok(()) };
        // SAFETY: its environment calls this, so it lives; `detach` runs in the same thread.
        check_status!(unsafe {
            if keeps {
                sys::napi_ref_threadsafe_function(env, function)
            } else {
                sys::napi_unref_threadsafe_function(env, function)
            }
        })
    }

    /// Silences the waker for good. From the environment's own thread when it ends (`release` is true), or
    /// from another one that has seen it end.
    pub(crate) fn detach(&self, release: bool) {
        let taken = self.0.lock().take();
        if let (Some(Function(function)), true) = (taken, release) {
            // SAFETY: no other reference to the pointer is left, and Node has not deleted it yet.
            unsafe {
                sys::napi_release_threadsafe_function(function, sys::ThreadsafeFunctionReleaseMode::abort)
            };
        }
    }
}
