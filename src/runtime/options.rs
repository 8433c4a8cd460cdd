//! Options as JavaScript gives them: an object that is checked, and read by the names of its options.

use napi::bindgen_prelude::{FromNapiValue, JsObjectValue, Object};
use sluice_core::runtime::options::Source;

/// An object of options that JavaScript has checked: its own properties, durations in milliseconds.
pub(crate) struct Given<'env>(pub(crate) Object<'env>);

impl Given<'_> {
    /// Own properties only: another library may have added to the prototype.
    fn get<V: FromNapiValue>(&self, name: &str) -> Option<V> {
        if !self.0.has_own_property(name).ok()? {
            return None;
        }
        self.0.get(name).ok().flatten()
    }
}

impl Source for Given<'_> {
    fn number(&self, name: &str) -> Option<f64> {
        self.get(name)
    }

    fn boolean(&self, name: &str) -> Option<bool> {
        self.get(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name)
    }

    fn texts(&self, name: &str) -> Option<Vec<String>> {
        self.get(name)
    }

    fn nested(&self, name: &str) -> Option<Box<dyn Source + '_>> {
        self.get::<Object<'_>>(name).map(|object| Box::new(Given(object)) as Box<dyn Source>)
    }

    fn list(&self, name: &str) -> Option<Vec<Box<dyn Source + '_>>> {
        let objects: Vec<Object<'_>> = self.get(name)?;
        Some(objects.into_iter().map(|object| Box::new(Given(object)) as Box<dyn Source>).collect())
    }
}
