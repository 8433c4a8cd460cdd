//! Options, declared once: name, type, range and default of each.
//!
//! [`options!`](crate::runtime::options::options) turns a declaration into the struct that the engine uses, the check of
//! its ranges, the list that error messages print, and a table of [`Field`]s. The binding reads options by that table,
//! and JavaScript checks them by it, so no range and no default is written a second time.

mod choice;
mod declaration;

pub(crate) use choice::choice;
pub(crate) use declaration::options;

use crate::runtime::instances::or_none;
use crate::{Error, Result};

/// A hundred years, in milliseconds: sums of dates and waits in nanoseconds then fit 63 bits.
pub const MAX_DURATION_MS: u64 = 36_525 * 86_400_000;

/// One option of a component, as its user knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// Its name in JavaScript.
    pub name: &'static str,
    /// What it accepts.
    pub accepts: Accepts,
    /// The value it has when it is left out, as it is written in the declaration. `None`: it has none.
    pub default: Option<&'static str>,
    /// Whether it has to be given.
    pub is_required: bool,
    /// Whether an existing instance keeps it: it cannot be reconfigured.
    pub is_fixed: bool,
}

/// The values that an option accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Accepts {
    /// An integer in a range.
    Integer {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// A duration, in milliseconds once it is parsed.
    Duration {
        /// The shortest, in milliseconds.
        least: u64,
    },
    /// A number in a range.
    Number {
        /// The smallest, or the bound that must be exceeded.
        least: f64,
        /// The largest.
        most: f64,
        /// Whether `least` itself is refused.
        is_above: bool,
        /// The range in words.
        words: &'static str,
    },
    /// True or false.
    Boolean,
    /// One of some texts.
    OneOf(&'static [&'static str]),
    /// A list of texts; what they mean is checked by the component.
    Texts,
    /// A value whose shape JavaScript checks, and whose meaning the component checks.
    Other,
}

impl Accepts {
    /// An integer from 1.
    #[must_use]
    pub const fn up_to(most: u64) -> Self {
        Self::Integer { least: 1, most }
    }

    /// A duration of at least a millisecond.
    #[must_use]
    pub const fn duration() -> Self {
        Self::Duration { least: 1 }
    }

    /// A number from 0 to 1.
    #[must_use]
    pub const fn share() -> Self {
        Self::Number { least: 0.0, most: 1.0, is_above: false, words: "a number from 0 to 1" }
    }

    /// A number above 0 and up to 1.
    #[must_use]
    pub const fn rate() -> Self {
        Self::Number { least: 0.0, most: 1.0, is_above: true, words: "a number above 0 and up to 1" }
    }

    /// A finite number from 1, by which something grows.
    #[must_use]
    pub const fn factor() -> Self {
        Self::Number { least: 1.0, most: f64::MAX, is_above: false, words: "a number from 1" }
    }

    fn check_integer(&self, option: &str, given: u64) -> Result<()> {
        let (least, most) = match *self {
            Self::Integer { least, most } => (least, most),
            Self::Duration { least } => (least, MAX_DURATION_MS),
            _ => return Ok(()),
        };
        if (least..=most).contains(&given) {
            return Ok(());
        }
        Err(Error::invalid_option(option, given, format!("an integer from {least} to {most}")))
    }

    fn check_number(&self, option: &str, given: f64) -> Result<()> {
        let Self::Number { least, most, is_above, words } = *self else { return Ok(()) };
        if given <= most && (given > least || (given >= least && !is_above)) {
            return Ok(());
        }
        Err(Error::invalid_option(option, given, words))
    }
}

/// An object of options on the other side: each is read by its name.
pub trait Source {
    /// A number; `None` where the option is left out.
    fn number(&self, name: &str) -> Option<f64>;
    /// A boolean.
    fn boolean(&self, name: &str) -> Option<bool>;
    /// A text.
    fn text(&self, name: &str) -> Option<String>;
    /// A list of texts.
    fn texts(&self, name: &str) -> Option<Vec<String>>;
    /// Options within an option.
    fn nested(&self, name: &str) -> Option<Box<dyn Source + '_>>;
    /// A list of options.
    fn list(&self, name: &str) -> Option<Vec<Box<dyn Source + '_>>>;
}

/// A type of option: how it is read, checked and printed.
pub trait OptionValue: Sized {
    /// The value in `source`, if the option is there.
    fn read(source: &dyn Source, name: &str) -> Option<Self>;
    /// Takes the value in `source`, if the option is there.
    ///
    /// # Errors
    ///
    /// A value that stands for nothing.
    fn update(&mut self, source: &dyn Source, name: &str) -> Result<()> {
        if let Some(value) = Self::read(source, name) {
            *self = value;
        }
        Ok(())
    }
    /// Checks that the option accepts it.
    ///
    /// # Errors
    ///
    /// A value that the option does not accept.
    fn check(&self, option: &str, accepts: &Accepts) -> Result<()>;
    /// The value as the user would read it.
    fn print(&self, accepts: &Accepts) -> String;
}

impl OptionValue for u64 {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        source.number(name).map(|number| number as Self)
    }

    fn check(&self, option: &str, accepts: &Accepts) -> Result<()> {
        accepts.check_integer(option, *self)
    }

    fn print(&self, accepts: &Accepts) -> String {
        match accepts {
            Accepts::Duration { .. } => format!("{self} ms"),
            _ => self.to_string(),
        }
    }
}

impl OptionValue for u8 {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        source.number(name).map(|number| number as Self)
    }

    fn check(&self, option: &str, accepts: &Accepts) -> Result<()> {
        accepts.check_integer(option, (*self).into())
    }

    fn print(&self, _: &Accepts) -> String {
        self.to_string()
    }
}

impl OptionValue for f64 {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        source.number(name)
    }

    fn check(&self, option: &str, accepts: &Accepts) -> Result<()> {
        accepts.check_number(option, *self)
    }

    fn print(&self, _: &Accepts) -> String {
        self.to_string()
    }
}

impl OptionValue for bool {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        source.boolean(name)
    }

    fn check(&self, _: &str, _: &Accepts) -> Result<()> {
        Ok(())
    }

    fn print(&self, _: &Accepts) -> String {
        self.to_string()
    }
}

impl OptionValue for String {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        source.text(name)
    }

    fn check(&self, option: &str, accepts: &Accepts) -> Result<()> {
        match accepts {
            Accepts::OneOf(choices) if !choices.contains(&self.as_str()) => {
                Err(no_choice(option, self, choices))
            }
            _ => Ok(()),
        }
    }

    fn print(&self, _: &Accepts) -> String {
        format!("{self:?}")
    }
}

impl OptionValue for Vec<String> {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        source.texts(name)
    }

    fn check(&self, _: &str, _: &Accepts) -> Result<()> {
        Ok(())
    }

    fn print(&self, _: &Accepts) -> String {
        format!("{self:?}")
    }
}

impl<T: OptionValue> OptionValue for Option<T> {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        Some(T::read(source, name))
    }

    fn update(&mut self, source: &dyn Source, name: &str) -> Result<()> {
        if let Some(value) = T::read(source, name) {
            *self = Some(value);
        }
        Ok(())
    }

    fn check(&self, option: &str, accepts: &Accepts) -> Result<()> {
        self.as_ref().map_or(Ok(()), |value| value.check(option, accepts))
    }

    fn print(&self, accepts: &Accepts) -> String {
        or_none(self.as_ref().map(|value| value.print(accepts)))
    }
}

/// The error for a required option that is left out.
pub(crate) fn missing(owner: &str, name: &str, fields: &[Field]) -> Error {
    let required: Vec<_> = fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
    let accepted = format!("a value for it; required: {}", required.join(", "));
    Error::invalid_option(&format!("{owner} {name}"), "undefined", accepted)
}

/// The error for a text that is none of `choices`.
pub(crate) fn no_choice(option: &str, given: &str, choices: &[&str]) -> Error {
    let quoted: Vec<_> = choices.iter().map(|choice| format!("{choice:?}")).collect();
    Error::invalid_option(option, format!("{given:?}"), quoted.join(", "))
}
