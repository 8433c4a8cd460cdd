//! What bounded tables may take of the machine's memory, and what they have taken.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{Error, Result};

/// Bytes that this process can use: of the machine, or of its control group where that has less.
static AVAILABLE: AtomicU64 = AtomicU64::new(u64::MAX);

/// Names the bytes that this process can use. Options that could fill more are refused from then on.
pub fn set_available(bytes: u64) {
    // Relaxed: a number by itself.
    AVAILABLE.store(bytes.max(1), Ordering::Relaxed);
}

/// Refuses an option whose entries would take more bytes than the process has.
pub(crate) fn check(option: &str, given: u64, bytes_each: u64) -> Result<()> {
    check_against(option, given, bytes_each, AVAILABLE.load(Ordering::Relaxed))
}

fn check_against(option: &str, given: u64, bytes_each: u64, available: u64) -> Result<()> {
    let needed = u128::from(given) * u128::from(bytes_each);
    if needed <= u128::from(available) {
        return Ok(());
    }
    let most = available / bytes_each;
    let accepted = format!("at most {most}, as the machine or its control group has {available} bytes");
    Err(Error::invalid_option(option, format!("{given}, which takes {needed} bytes when full"), accepted))
}

/// The error where the system has no room for a table that passed [`check`].
pub(crate) fn refused(option: &str, given: u64, bytes_each: u64, cause: &std::io::Error) -> Error {
    let needed = u128::from(given) * u128::from(bytes_each);
    let given = format!("{given}, which takes {needed} bytes when full");
    Error::invalid_option(option, given, format!("a number for which the system has address space ({cause})"))
}

type Watcher = Box<dyn Fn() + Send + Sync>;

/// Bytes of an instance that were written to, in whole pages.
#[derive(Default)]
pub struct MemoryUse {
    bytes: AtomicU64,
    has_ended: AtomicBool,
    watcher: OnceLock<Watcher>,
}

impl MemoryUse {
    /// Bytes in use now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether all of it was given back for good. Read before the bytes, it says that they are 0.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Calls `watcher`, from any thread, after each change. It must not block or call the instance. False when there
    /// is a watcher already.
    pub fn watch(&self, watcher: impl Fn() + Send + Sync + 'static) -> bool {
        self.watcher.set(Box::new(watcher)).is_ok()
    }

    #[cold]
    pub(crate) fn add(&self, bytes: u64) {
        // Relaxed: a sum, which publishes nothing.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.notify();
    }

    /// The memory was given back.
    pub(crate) fn end(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.has_ended.store(true, Ordering::Release);
        self.notify();
    }

    fn notify(&self) {
        if let Some(watcher) = self.watcher.get() {
            watcher();
        }
    }
}

impl fmt::Debug for MemoryUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryUse").field(&self.bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_the_machine_does_not_have() {
        assert_eq!(check_against("X maxKeys", 100, 10, 1_000), Ok(()));
        let error = check_against("X maxKeys", 101, 10, 1_000).expect_err("too much");
        assert_eq!(
            error.to_string(),
            "X maxKeys is 101, which takes 1010 bytes when full; accepted: at most 100, as the machine or its control \
             group has 1000 bytes"
        );
        assert!(check_against("X maxKeys", u64::MAX, u64::MAX, u64::MAX).is_err());
    }

    #[test]
    fn notifies_the_watcher_of_every_change() {
        let (sender, seen) = std::sync::mpsc::channel();
        let memory = MemoryUse::default();
        assert!(memory.watch(move || sender.send(()).expect("the receiver exists")));
        assert!(!memory.watch(|| panic!("a second watcher")));
        memory.add(4_096);
        assert_eq!((memory.bytes(), memory.has_ended()), (4_096, false));
        memory.end();
        assert_eq!((memory.bytes(), memory.has_ended()), (0, true));
        assert_eq!(seen.try_iter().count(), 2);
    }
}
