//! Named instances: in any thread the same name is the same state.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

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
    /// As [`create`](Self::create); an error where the system has no room for it.
    fn try_create(name: &str, config: Self::Config) -> Result<Self> {
        Ok(Self::create(name, config))
    }
    /// The options it was created with.
    fn created_with(&self) -> &OptionList;
    /// The options in `config`; those that are not given, and so not compared, may be left out.
    fn list_options(config: &Self::Config) -> OptionList;
    /// Refuses all later calls.
    fn close(&self);
}

/// All instances of one kind in this process, by name. They live until the process ends or
/// [`destroy`](Self::destroy) is called, whichever threads come and go.
#[derive(Debug)]
pub struct Instances<T> {
    by_name: Mutex<HashMap<String, Arc<T>>>,
}

impl<T: Instance> Instances<T> {
    /// No instances yet.
    #[must_use]
    pub fn new() -> Self {
        Self { by_name: Mutex::new(HashMap::new()) }
    }

    /// Attaches to `name`, or creates it: the same options attach, others are [`Error::ConfigMismatch`],
    /// and no options attach only.
    pub fn open(&self, name: &str, config: Option<T::Config>) -> Result<Arc<T>> {
        let mut by_name = self.by_name.lock();
        match (by_name.get(name), config) {
            (Some(instance), None) => Ok(Arc::clone(instance)),
            (Some(instance), Some(config)) => {
                let existing = instance.created_with();
                check_same_options(name, existing, &T::list_options(&config))?;
                Ok(Arc::clone(instance))
            }
            (None, Some(config)) => {
                let instance = Arc::new(T::try_create(name, config)?);
                by_name.insert(name.to_owned(), Arc::clone(&instance));
                Ok(instance)
            }
            (None, None) => Err(Error::NotFound {
                what: T::KIND,
                name: name.to_owned(),
                accepted: "give options to create it, or create it before attaching",
            }),
        }
    }

    /// Ends the instance of this name; false when there is none. Its name is free again.
    pub fn destroy(&self, name: &str) -> bool {
        let removed = self.by_name.lock().remove(name);
        removed.is_some_and(|instance| {
            instance.close();
            true
        })
    }

    /// Every instance there is now.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<T>> {
        self.by_name.lock().values().cloned().collect()
    }
}

impl<T: Instance> Default for Instances<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn check_same_options(name: &str, existing: &OptionList, given: &OptionList) -> Result<()> {
    let differing = given.iter().find_map(|(option, given)| {
        let (_, existing) = existing.iter().find(|(known, _)| known == option)?;
        (existing != given).then_some((*option, existing, given))
    });
    match differing {
        None => Ok(()),
        Some((option, existing, given)) => Err(Error::ConfigMismatch {
            name: name.to_owned(),
            option,
            existing: existing.clone(),
            given: given.clone(),
        }),
    }
}

/// An option that may be left out, for an [`OptionList`].
pub(crate) fn or_none<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}
