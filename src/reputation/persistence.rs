//! Reputations that a file keeps: read when the first thread opens one, written on an interval and at the end.
//!
//! Every thread that uses such a reputation asks whether a write is due; the first to ask does it, in a thread of its own
//! that runs no JavaScript. So no thread has a duty that could end with it. The last thread to end writes as well.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::runtime::clock::{self, MS};
use sluice_core::{PersistOptions, Reputation, ThreadId};

use super::files::{NativeFileFailure, SAVING};
use super::{REPUTATIONS, reputation};
use crate::runtime::error;
use crate::runtime::numbers::ceil_ms;
use crate::runtime::replace_file::{Failure, replace_file};

/// Bytes at the beginning of a file that differ from those of any other content: version, checksum and length.
const HEADER: usize = 24;

static KEPT: Mutex<Vec<Arc<Kept>>> = Mutex::new(Vec::new());

/// A reputation that a file keeps.
struct Kept {
    reputation: Arc<Reputation>,
    /// Held while the file is read for the first time: a thread that attaches meanwhile waits for its bans.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_loaded: bool,
    /// Nothing is written: what the file holds could be neither read nor kept aside.
    is_off: bool,
    is_writing: bool,
    threads: HashSet<ThreadId>,
    /// When the last write began.
    written_at: u64,
    /// The beginning of the file as this process last read or wrote it.
    known: Option<Vec<u8>>,
    /// What was not yet reported.
    failure: Option<Failure>,
    aside: Option<SetAside>,
}

/// A file that could not be read, and where it is now.
struct SetAside {
    reason: String,
    to: Option<String>,
}

/// What a thread has to know of a reputation that a file keeps.
#[napi(object)]
pub struct NativePersistence {
    pub path: String,
    /// Milliseconds until a write is due.
    pub wait_ms: f64,
    /// Why the last write failed; reported once.
    pub failure: Option<NativeFileFailure>,
    /// Why the file could not be read; reported once.
    pub unreadable: Option<String>,
    /// Where that file is now; none where it could not be moved.
    pub aside: Option<String>,
}

/// The thread takes part in keeping a reputation that it has opened, where a file keeps it. The first one reads the file. The
/// caller holds the lock of all that opens and ends reputations: what is read here was not destroyed. Returns what the thread
/// has to know; `None` where no file keeps the reputation.
pub(super) fn keep(reputation: &Arc<Reputation>, thread: ThreadId) -> Option<NativePersistence> {
    let options = reputation.persisted()?;
    let kept = find(reputation).unwrap_or_else(|| add(reputation));
    let mut state = kept.state.lock();
    state.threads.insert(thread);
    if !state.is_loaded {
        state.is_loaded = true;
        state.written_at = clock::now();
        state.merge(&kept.reputation, &options.path);
    }
    Some(state.report(&options))
}

/// Begins a write where one is due. `None` where no file keeps the reputation any more.
#[napi]
pub fn persist_if_due(handle: u32) -> Result<Option<NativePersistence>> {
    let reputation = reputation(handle)?;
    let (Some(options), Some(kept)) = (reputation.persisted(), find(&reputation)) else { return Ok(None) };
    let mut state = kept.state.lock();
    if state.wait(&options) == 0 && !state.is_writing {
        state.is_writing = true;
        state.written_at = clock::now();
        let (kept, options) = (Arc::clone(&kept), options.clone());
        let write = move || {
            kept.write(&options);
            kept.state.lock().is_writing = false;
        };
        if std::thread::Builder::new().name("sluice-persist".to_owned()).spawn(write).is_err() {
            // Due again after the next interval.
            state.is_writing = false;
        }
    }
    Ok(Some(state.report(&options)))
}

/// Writes now, and returns once the disk has it. `None` where no file keeps the reputation.
#[napi]
pub fn persist_now(env: Env, handle: u32) -> Result<Option<NativePersistence>> {
    let reputation = reputation(handle)?;
    let (Some(options), Some(kept)) = (reputation.persisted(), find(&reputation)) else { return Ok(None) };
    error::check(&env, reputation.check_open())?;
    kept.write(&options);
    let report = kept.state.lock().report(&options);
    Ok(Some(report))
}

/// A reputation is about to be destroyed: writes it a last time.
pub(super) fn finish(name: &str) {
    let Ok(reputation) = REPUTATIONS.open(name, None) else { return };
    if let Some(kept) = take(|kept| Arc::ptr_eq(&kept.reputation, &reputation))
        && let Some(options) = reputation.persisted()
    {
        kept.write(&options);
    }
}

/// A call has saved the reputation. Where that is the file that keeps it, the content is this process's own: to merge it
/// later would bring back bans that were lifted since. The caller holds `SAVING`.
pub(super) fn saved(reputation: &Arc<Reputation>, path: &str, bytes: &[u8]) {
    let (Some(options), Some(kept)) = (reputation.persisted(), find(reputation)) else { return };
    let real = |path: &str| fs::canonicalize(path).ok();
    if real(path).is_some_and(|path| Some(path) == real(&options.path)) {
        kept.state.lock().known = bytes.get(..HEADER).map(<[u8]>::to_vec);
    }
}

/// A thread has ended. The last one of a reputation writes it.
pub(super) fn thread_ended(thread: ThreadId) {
    let all = KEPT.lock().clone();
    for kept in all {
        let is_last = {
            let mut state = kept.state.lock();
            state.threads.remove(&thread) && state.threads.is_empty()
        };
        if let (true, Some(options)) = (is_last, kept.reputation.persisted()) {
            kept.write(&options);
        }
    }
}

/// A test empties every instance. Files stay as they are: nothing is written until a reputation is constructed again, which
/// reads its file.
pub(super) fn forget_all() {
    let forgotten = std::mem::take(&mut *KEPT.lock());
    for kept in forgotten {
        // A write that has begun does not see the emptied list.
        let _one_at_a_time = SAVING.lock();
        kept.state.lock().is_off = true;
    }
}

fn find(reputation: &Arc<Reputation>) -> Option<Arc<Kept>> {
    KEPT.lock().iter().find(|kept| Arc::ptr_eq(&kept.reputation, reputation)).cloned()
}

fn add(reputation: &Arc<Reputation>) -> Arc<Kept> {
    let mut all = KEPT.lock();
    // Another thread may have come between.
    if let Some(known) = all.iter().find(|kept| Arc::ptr_eq(&kept.reputation, reputation)) {
        return Arc::clone(known);
    }
    let kept = Arc::new(Kept { reputation: Arc::clone(reputation), state: Mutex::default() });
    all.push(Arc::clone(&kept));
    kept
}

fn take(is_wanted: impl Fn(&Kept) -> bool) -> Option<Arc<Kept>> {
    let mut all = KEPT.lock();
    let index = all.iter().position(|kept| is_wanted(kept))?;
    Some(all.swap_remove(index))
}

impl Kept {
    /// Writes the file, unless it holds the same already.
    fn write(&self, options: &PersistOptions) {
        let _one_at_a_time = SAVING.lock();
        {
            let mut state = self.state.lock();
            if !state.is_off && head_of(&options.path) != state.known {
                // Another process has written it.
                state.merge(&self.reputation, &options.path);
            }
            if state.is_off {
                return;
            }
        }
        let Ok(bytes) = self.reputation.save(clock::now(), clock::date_ahead()) else { return };
        if self.state.lock().known.as_deref() == bytes.get(..HEADER) {
            return;
        }
        let written = replace_file(Path::new(&options.path), &bytes);
        let mut state = self.state.lock();
        match written {
            Ok(()) => state.known = bytes.get(..HEADER).map(<[u8]>::to_vec),
            Err(failure) => state.failure = Some(failure),
        }
    }
}

impl State {
    /// Adds what the file holds. A file that cannot be read is kept aside.
    fn merge(&mut self, reputation: &Reputation, path: &str) {
        let reason = match fs::read(path) {
            Ok(bytes) => match reputation.load(&bytes, path, clock::now(), clock::date_ahead()) {
                Ok(()) => {
                    self.known = bytes.get(..HEADER).map(<[u8]>::to_vec);
                    return;
                }
                Err(error) => error.to_string(),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.known = None;
                return;
            }
            Err(error) => error.to_string(),
        };
        let to = format!("{path}.unreadable-{}", clock::utc_ms());
        // Of anything but a file, such as a folder, nothing is moved.
        let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
        let is_aside = is_file && fs::rename(path, &to).is_ok();
        self.known = None;
        self.is_off = !is_aside;
        self.aside = Some(SetAside { reason, to: is_aside.then_some(to) });
    }

    /// Milliseconds until a write is due.
    fn wait(&mut self, options: &PersistOptions) -> u64 {
        let now = clock::now();
        // A test may have set the clock back.
        self.written_at = self.written_at.min(now);
        (self.written_at + options.every_ms.saturating_mul(MS)).saturating_sub(now)
    }

    fn report(&mut self, options: &PersistOptions) -> NativePersistence {
        let wait = self.wait(options);
        let wait = if wait == 0 { options.every_ms.saturating_mul(MS) } else { wait };
        let (unreadable, aside) =
            self.aside.take().map_or((None, None), |aside| (Some(aside.reason), aside.to));
        NativePersistence {
            path: options.path.clone(),
            wait_ms: ceil_ms(wait),
            failure: self.failure.take().map(Into::into),
            unreadable,
            aside,
        }
    }
}

/// The beginning of a file; `None` where there is none, or it cannot be read.
fn head_of(path: &str) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut head = vec![0; HEADER];
    let mut file = fs::File::open(path).ok()?;
    let read = file.read(&mut head).ok()?;
    head.truncate(read);
    Some(head)
}
