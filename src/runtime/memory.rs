//! Reports to V8 what native memory limiters use, so that it collects garbage accordingly: once, by the thread that made
//! the limiter.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::bindgen_prelude::Env;
use napi::sys;
use napi_derive::napi;
use sluice_core::deliveries::Item;
use sluice_core::runtime::memory::MemoryUse;

use crate::runtime::numbers::double;
use crate::runtime::port::Port;
use crate::runtime::thread;

/// What one thread has reported to V8.
#[derive(Default)]
pub(crate) struct Reports(RefCell<Vec<Report>>);

struct Report {
    memory: Arc<MemoryUse>,
    reported: u64,
    /// The thread was asked to look, and has not yet.
    is_due: Arc<AtomicBool>,
}

/// Reports the use of this memory from now on, unless a thread does so already.
pub(crate) fn report(port: &Port, memory: &Arc<MemoryUse>) {
    let is_due = Arc::new(AtomicBool::new(false));
    let (id, mailbox, due) = (port.thread().id, port.mailbox(), Arc::clone(&is_due));
    let is_first = memory.watch(move || match thread::current() {
        Ok(thread) if thread.id == id => thread.report_memory(),
        _ => {
            if !due.swap(true, Ordering::Relaxed) {
                mailbox.push(0, Item::MemoryMoved);
            }
        }
    });
    if is_first {
        let report = Report { memory: Arc::clone(memory), reported: 0, is_due };
        port.thread().memory.0.borrow_mut().push(report);
        port.thread().report_memory();
    }
}

impl Reports {
    /// Reports to V8 what has changed. In the thread of `env`.
    pub(crate) fn bring_up_to_date(&self, env: sys::napi_env) {
        // Taken already where a collection that V8 begins below comes back here: then the outer call goes on.
        let Ok(mut reports) = self.0.try_borrow_mut() else { return };
        let mut change = 0;
        reports.retain_mut(|report| {
            report.is_due.store(false, Ordering::Relaxed);
            let has_ended = report.memory.has_ended();
            let bytes = report.memory.bytes();
            change += bytes as i64 - report.reported as i64;
            report.reported = bytes;
            !has_ended
        });
        drop(reports);
        if change != 0 {
            adjust(env, change);
        }
    }
}

/// Bytes outside its heap that V8 knows of, in the calling thread: of all addons, and of Node. Where a test reads what
/// was reported; heap statistics leave it out.
#[napi]
pub fn bytes_known_to_v8(env: Env) -> f64 {
    double(adjust(env.raw(), 0))
}

fn adjust(env: sys::napi_env, change: i64) -> i64 {
    let mut total = 0;
    // SAFETY: the environment is the current thread's, and lives.
    unsafe { sys::napi_adjust_external_memory(env, change, &mut total) };
    total
}
