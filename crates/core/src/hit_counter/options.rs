//! Options of a counter and their validation.

use std::io;

use crate::key_table::{Overflow, bytes_of_a_key};
use crate::runtime::instances::OptionList;
use crate::runtime::memory;
use crate::runtime::options::{Accepts, options};
use crate::{Error, Result};

options! {
    /// Options of a counter.
    #[derive(Eq)]
    pub struct HitCounterOptions of "HitCounter" {
        /// Keys that the table is sized for.
        max_keys: u64 = "maxKeys", Accepts::up_to(1 << 32), default 1_000_000, fixed;
        /// What a new key gets when the table is full.
        overflow: Overflow = "overflow", Accepts::OneOf(Overflow::TEXTS), fixed;
        /// Keeps the texts of keys, for `dump`.
        keep_keys: bool = "keepKeys", Accepts::Boolean, default false, fixed;
    }
}

/// Valid options.
#[derive(Clone, Debug)]
pub struct HitCounterConfig {
    pub(super) options: HitCounterOptions,
}

impl HitCounterConfig {
    pub(super) fn list(&self) -> OptionList {
        self.options.list()
    }

    pub(super) fn list_fixed(&self) -> OptionList {
        self.options.list_fixed()
    }

    /// The error where the system cannot map the table.
    pub(super) fn too_large(&self, cause: &io::Error) -> Error {
        memory::refused("HitCounter maxKeys", self.options.max_keys, bytes_of_a_key(1), cause)
    }
}

impl TryFrom<HitCounterOptions> for HitCounterConfig {
    type Error = Error;

    fn try_from(options: HitCounterOptions) -> Result<Self> {
        options.check_ranges()?;
        memory::check("HitCounter maxKeys", options.max_keys, bytes_of_a_key(1))?;
        Ok(Self { options })
    }
}
