//! Named instances: in any thread the same name is the same state.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::runtime::clock::SetBack;
use crate::runtime::{Component, ThreadId};
use crate::{Error, Result};

/// Options as the user would read them: name and value, defaults filled in, units written out.
pub type OptionList = Vec<(&'static str, String)>;

/// What can be created once and attached to by name.
pub trait Instance: Sized {
    /// What the user calls it, for messages.
    const KIND: &'static str;
    /// Valid options.
    type Config;

    /// Creates the instance.
    fn create(name: &str, config: Self::Config) -> Self;
    /// As [`create`](Self::create), for instances whose creation can fail.
    ///
    /// # Errors
    ///
    /// Where the process lacks the memory for the instance.
    fn try_create(name: &str, config: Self::Config) -> Result<Self> {
        Ok(Self::create(name, config))
    }
    /// The options it was created with.
    fn created_with(&self) -> &OptionList;
    /// The options in `config`; those that are not given, and so not compared, may be left out.
    fn list_options(config: &Self::Config) -> OptionList;
    /// Refuses all later calls.
    fn close(&self);
    /// All options that `config` leads to, defaults included, where [`list_options`](Self::list_options) leaves some out.
    fn list_all(config: &Self::Config) -> OptionList {
        Self::list_options(config)
    }
    /// Those that are fixed at creation, as text that is the same where the meaning is.
    fn list_fixed(_config: &Self::Config) -> OptionList {
        OptionList::new()
    }
    /// Takes other options, in all threads at once; with `is_empty`, after a reset, those that are fixed as well. An
    /// instance that cannot is replaced: handles of this one follow the one that is returned.
    ///
    /// # Errors
    ///
    /// Where the instance cannot take the options.
    fn reconfigure(&self, name: &str, config: Self::Config, is_empty: bool) -> Result<Option<Arc<Self>>>;
    /// Empties it: everything counted, kept or held is forgotten, what is pending is given up. Options, listeners
    /// and handles stay.
    fn reset(&self);
    /// Releases what a thread held that has ended. May be called more than once for a thread.
    fn thread_ended(&self, thread: ThreadId, now: u64);
    /// A test set the clock back: nothing waits for a time that the clock showed before.
    fn clock_was_set_back(&self, set_back: SetBack);
}

/// What becomes of other options than those that an instance was created with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMismatch {
    /// An error.
    #[default]
    Error,
    /// They come into force.
    Reconfigure,
}

/// An option that came into force in place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub option: &'static str,
    /// The value before.
    pub before: String,
    /// The value from now on.
    pub after: String,
}

/// All instances of one kind in this process, by name. They live until the process ends or
/// [`destroy`](Self::destroy) is called, whichever threads come and go.
#[derive(Debug)]
pub struct Instances<T> {
    by_name: Mutex<BTreeMap<String, Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T> {
    instance: Arc<T>,
    /// The options that attach.
    created_with: OptionList,
    fixed: OptionList,
    /// It was reset: the next options that are given are its own.
    is_unset: bool,
}

impl<T: Instance> Instances<T> {
    /// No instances yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { by_name: Mutex::new(BTreeMap::new()) }
    }

    /// Attaches to `name`, or creates it: the same options attach, others are [`Error::ConfigMismatch`],
    /// and no options attach only.
    ///
    /// # Errors
    ///
    /// [`Error::ConfigMismatch`] for other options, [`Error::NotFound`] where neither an instance nor options exist, and
    /// the errors of [`Instance::try_create`].
    pub fn open(&self, name: &str, config: Option<T::Config>) -> Result<Arc<T>> {
        self.open_with(name, config, OnMismatch::Error).map(|(instance, _)| instance)
    }

    /// As [`open`](Self::open); with [`OnMismatch::Reconfigure`] other options come into force, unless one of them is
    /// fixed at creation. What has changed by that comes with the instance.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and the errors of [`Instance::reconfigure`].
    pub fn open_with(
        &self,
        name: &str,
        config: Option<T::Config>,
        on_mismatch: OnMismatch,
    ) -> Result<(Arc<T>, Vec<Change>)> {
        let mut by_name = self.by_name.lock();
        match (by_name.get_mut(name), config) {
            (Some(entry), None) => Ok((Arc::clone(&entry.instance), Vec::new())),
            (Some(entry), Some(config)) => {
                let changes = entry.attach(name, config, on_mismatch)?;
                Ok((Arc::clone(&entry.instance), changes))
            }
            (None, Some(config)) => {
                let fixed = T::list_fixed(&config);
                let instance = Arc::new(T::try_create(name, config)?);
                let created_with = instance.created_with().clone();
                let entry = Entry { instance: Arc::clone(&instance), created_with, fixed, is_unset: false };
                by_name.insert(name.to_owned(), entry);
                Ok((instance, Vec::new()))
            }
            (None, None) => Err(Error::NotFound {
                what: T::KIND,
                name: name.to_owned(),
                accepted: "give options to create it, or create it before attaching",
            }),
        }
    }

    /// Whether there is an instance of this name that has options: none after a reset, until some are given.
    #[must_use]
    pub fn get_if_set(&self, name: &str) -> Option<Arc<T>> {
        let by_name = self.by_name.lock();
        by_name.get(name).filter(|entry| !entry.is_unset).map(|entry| Arc::clone(&entry.instance))
    }

    /// Whether there is an instance of this name, with or without options.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.by_name.lock().contains_key(name)
    }

    /// Ends the instance of this name; false when there is none. Its name is free again.
    pub fn destroy(&self, name: &str) -> bool {
        self.take(name).is_some_and(|instance| {
            instance.close();
            true
        })
    }

    /// Frees the name of an instance that the caller is about to end: nothing attaches to it any more, and it is open still.
    pub fn take(&self, name: &str) -> Option<Arc<T>> {
        self.by_name.lock().remove(name).map(|entry| entry.instance)
    }

    /// Every instance there is now.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<T>> {
        self.by_name.lock().values().map(|entry| Arc::clone(&entry.instance)).collect()
    }
}

impl<T: Instance + Send + Sync> Component for Instances<T> {
    fn thread_ended(&self, thread: ThreadId, now: u64) {
        for instance in self.all() {
            instance.thread_ended(thread, now);
        }
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        for instance in self.all() {
            instance.clock_was_set_back(set_back);
        }
    }

    /// Each instance takes the options that it is given next.
    fn reset(&self) {
        for entry in self.by_name.lock().values_mut() {
            entry.instance.reset();
            entry.is_unset = true;
        }
    }

    fn names(&self) -> Option<(&'static str, Vec<String>)> {
        Some((T::KIND, self.by_name.lock().keys().cloned().collect()))
    }
}

impl<T: Instance> Entry<T> {
    /// The caller holds the lock of all names, so no other options come between.
    fn attach(&mut self, name: &str, config: T::Config, on_mismatch: OnMismatch) -> Result<Vec<Change>> {
        let given = if self.is_unset { T::list_all(&config) } else { T::list_options(&config) };
        let changes = changes(&self.created_with, &given);
        if changes.is_empty() {
            self.is_unset = false;
            return Ok(changes);
        }
        let fixed = T::list_fixed(&config);
        let differing = self::changes(&self.fixed, &fixed);
        match differing.first() {
            // What came since the reset came by the fixed options of before.
            Some(_) if self.is_unset => self.instance.reset(),
            _ if self.is_unset => {}
            _ if on_mismatch == OnMismatch::Error => return Err(mismatch(name, &changes[0], "")),
            Some(change) => return Err(mismatch(name, change, ", which is fixed at creation")),
            None => {}
        }
        if let Some(instance) = self.instance.reconfigure(name, config, self.is_unset)? {
            self.instance = instance;
        }
        for (option, value) in given {
            match self.created_with.iter_mut().find(|(known, _)| *known == option) {
                Some((_, existing)) => *existing = value,
                None => self.created_with.push((option, value)),
            }
        }
        self.fixed = fixed;
        Ok(if std::mem::take(&mut self.is_unset) { Vec::new() } else { changes })
    }
}

impl<T: Instance> Default for Instances<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The options of both lists that differ.
fn changes(existing: &OptionList, given: &OptionList) -> Vec<Change> {
    let differing = given.iter().filter_map(|(option, after)| {
        let (_, before) = existing.iter().find(|(known, _)| known == option)?;
        let change = || Change { option, before: before.clone(), after: after.clone() };
        (before != after).then(change)
    });
    differing.collect()
}

fn mismatch(name: &str, Change { option, before, after }: &Change, why: &str) -> Error {
    Error::ConfigMismatch {
        name: name.to_owned(),
        option,
        existing: before.clone(),
        given: format!("{after}{why}"),
    }
}

/// An option that may be left out, for an [`OptionList`].
pub(crate) fn or_none<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}
