//! What becomes of options that differ from those of a file.

use std::sync::Arc;

use sluice_core::machine::Processes;
use sluice_core::runtime::arena::Arena;
use sluice_core::{OnMismatch, OptionList};

/// Whether a process attaches to a file of these options of creation, which differ from those that it wants: the bytes of a
/// sound file of them, or the option that forbids it.
pub(crate) type Accepts<'a> = &'a dyn Fn(&[(String, String)]) -> std::result::Result<u64, Difference>;

/// The options in force in the memory of a file of these options of creation; `None` where they cannot be read.
pub(crate) type InForce<'a> =
    &'a dyn Fn(&[(String, String)], &Arena, &Arc<Processes>) -> Option<Vec<(String, String)>>;

/// What becomes of options that differ from those of a file.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// Whether they differ in what is fixed at creation.
    pub(crate) accepts: Accepts<'a>,
    /// What they are compared with.
    pub(crate) in_force: InForce<'a>,
    /// Attaches all the same where `accepts` allows it.
    pub(crate) on_mismatch: OnMismatch,
}

/// An option that differs from the one at creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The option.
    pub(crate) option: String,
    /// Its value at creation.
    pub(crate) existing: String,
    /// Its value now.
    pub(crate) given: String,
}

pub(crate) fn as_texts(options: &OptionList) -> Vec<(String, String)> {
    options.iter().map(|(option, value)| ((*option).to_owned(), value.clone())).collect()
}

/// Whether what is fixed at creation is the same; `None`: the options of creation are those of no instance of the kind.
pub(crate) fn check_fixed(
    created: Option<&OptionList>,
    given: OptionList,
) -> std::result::Result<(), Difference> {
    for (index, (option, given)) in given.into_iter().enumerate() {
        let existing =
            created.and_then(|created| created.get(index)).map_or("none", |(_, existing)| existing);
        if existing != given {
            let given = format!("{given}, which is fixed at creation");
            return Err(Difference { option: option.to_owned(), existing: existing.to_owned(), given });
        }
    }
    Ok(())
}
