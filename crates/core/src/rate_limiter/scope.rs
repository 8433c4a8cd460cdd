//! Which threads share a limiter.

use crate::Result;
use crate::runtime::options::{Accepts, OptionValue, Source};

/// Which threads share a limiter, in words that hold no credentials. Limiters of one name agree in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(String);

impl Default for Scope {
    fn default() -> Self {
        Self("process".to_owned())
    }
}

impl OptionValue for Scope {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        source.text(name).map(Self)
    }

    /// Checked by what keeps the counts elsewhere.
    fn check(&self, _: &str, _: &Accepts) -> Result<()> {
        Ok(())
    }

    fn print(&self, _: &Accepts) -> String {
        self.0.clone()
    }
}
