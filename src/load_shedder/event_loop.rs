//! The event loop of a thread, as libuv tells of it.
//!
//! libuv counts the turns of a loop and measures how long it has waited for events. Both are only read: there is no
//! handle and no hook that would have to end with the thread. The functions are looked up when the first shedder of the
//! process is opened, as not every version has them: `uv_metrics_info` came with libuv 1.45 (Node.js 20.3).

use std::cell::OnceCell;
use std::ffi::c_void;
use std::sync::OnceLock;

use napi::bindgen_prelude::Env;
use napi::sys;

#[cfg(unix)]
use libloading::os::unix::Library;
#[cfg(windows)]
use libloading::os::windows::Library;

/// `uv_metrics_t`: three counters, of which the first is that of turns, and thirteen reserved pointers.
type Metrics = [u64; 16];

type MetricsInfo = unsafe extern "C" fn(*mut c_void, *mut Metrics) -> i32;
type MetricsIdleTime = unsafe extern "C" fn(*mut c_void) -> u64;

#[derive(Clone, Copy)]
struct Functions {
    info: MetricsInfo,
    idle_time: MetricsIdleTime,
}

/// The event loop of a thread, once a shedder was opened in it.
pub(crate) type ThreadLoop = OnceCell<Option<UvLoop>>;

/// A loop of libuv. Not `Send`: it is read by the thread that runs it.
pub(crate) struct UvLoop {
    uv_loop: *mut c_void,
    functions: Functions,
}

impl UvLoop {
    /// The loop of an environment. `None` where the runtime does not tell of it.
    pub(super) fn of(env: &Env) -> Option<Self> {
        let functions = functions()?;
        let mut uv_loop = std::ptr::null_mut();
        // SAFETY: a live environment, in its thread.
        let status = unsafe { sys::napi_get_uv_event_loop(env.raw(), &mut uv_loop) };
        let uv_loop: *mut c_void = uv_loop.cast();
        (status == sys::Status::napi_ok && !uv_loop.is_null()).then_some(Self { uv_loop, functions })
    }

    /// The number of the turn that runs.
    #[inline]
    pub(super) fn turn(&self) -> u64 {
        let mut metrics: Metrics = [0; 16];
        // SAFETY: the loop runs this thread's JavaScript, so it lives; `metrics` is as large as libuv's struct.
        unsafe { (self.functions.info)(self.uv_loop, &mut metrics) };
        metrics[0]
    }

    /// How long the loop has waited for events in all, in nanoseconds.
    #[inline]
    pub(super) fn idle(&self) -> u64 {
        // SAFETY: the loop runs this thread's JavaScript, so it lives.
        unsafe { (self.functions.idle_time)(self.uv_loop) }
    }
}

fn functions() -> Option<Functions> {
    static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
    *FUNCTIONS.get_or_init(find_functions)
}

fn find_functions() -> Option<Functions> {
    let process = process();
    #[cfg(windows)]
    let process = process?;
    // SAFETY: the types are those of libuv's header, which its major version keeps. The process stays loaded, so the
    // functions outlive the library object.
    unsafe {
        let info = *process.get::<MetricsInfo>(b"uv_metrics_info\0").ok()?;
        let idle_time = *process.get::<MetricsIdleTime>(b"uv_metrics_idle_time\0").ok()?;
        Some(Functions { info, idle_time })
    }
}

#[cfg(unix)]
fn process() -> Library {
    Library::this()
}

#[cfg(windows)]
fn process() -> Option<Library> {
    Library::this().ok()
}
