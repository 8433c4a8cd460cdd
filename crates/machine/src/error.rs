//! Errors: each names the file or the directory it is about, what is wrong, and what is accepted.

use std::io;
use std::path::Path;

use rustix::io::Errno;

/// The result of whatever touches the file.
pub type Result<T> = std::result::Result<T, Error>;

/// Why state cannot be shared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refuses, or has no room, or the directory is none that state may lie in.
    #[error("{path}: {reason}; accepted: {accepted}")]
    Unavailable {
        /// The file or the directory.
        path: String,
        /// What is wrong with it.
        reason: String,
        /// What is accepted.
        accepted: String,
    },
    /// The file is none of this package, was cut short, or was changed.
    #[error(
        "{path} is corrupt: {reason}; accepted: a file that this package has made. Remove it to begin anew"
    )]
    Corrupt {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file has another layout.
    #[error("{path} has version {found} of its layout; accepted: version {accepted}")]
    UnsupportedVersion {
        /// The file.
        path: String,
        /// Its version.
        found: u32,
        /// The version of this copy of the package.
        accepted: u32,
    },
    /// Processes are attached that use other options.
    #[error(
        "{path} was created with {option} = {existing}, and processes use it; given: {given}. Same options attach, others need another name"
    )]
    ConfigMismatch {
        /// The file.
        path: String,
        /// The first option that differs.
        option: String,
        /// Its value at creation.
        existing: String,
        /// Its value now.
        given: String,
    },
    /// What processes cannot share.
    #[error("{what}; accepted: {accepted}")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// What is accepted.
        accepted: &'static str,
    },
    /// A mistake that the engine found.
    #[error(transparent)]
    Core(#[from] sluice_core::Error),
}

impl From<Error> for sluice_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Core(error) => error,
            error => Self::Elsewhere { code: error.code(), message: error.to_string() },
        }
    }
}

impl Error {
    /// The stable code, without the common prefix.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "SCOPE_UNAVAILABLE",
            Self::Corrupt { .. } => "CORRUPT_FILE",
            Self::UnsupportedVersion { .. } => "UNSUPPORTED_VERSION",
            Self::ConfigMismatch { .. } => "CONFIG_MISMATCH",
            Self::Unsupported { .. } => "UNSUPPORTED",
            Self::Core(error) => error.code(),
        }
    }

    pub(crate) fn unavailable(path: &Path, reason: impl ToString, accepted: impl ToString) -> Self {
        let path = path.display().to_string();
        Self::Unavailable { path, reason: reason.to_string(), accepted: accepted.to_string() }
    }

    /// A call of the system that failed.
    pub(crate) fn of_system(path: &Path, call: &str, error: Errno) -> Self {
        let reason = format!("{call} failed: {}", io::Error::from(error));
        Self::unavailable(path, reason, "a directory in memory (tmpfs) that belongs to this user")
    }

    /// Options that differ while processes use the file.
    pub(crate) fn mismatch(path: &Path, option: &str, existing: &str, given: &str) -> Self {
        Self::ConfigMismatch {
            path: path.display().to_string(),
            option: option.to_owned(),
            existing: existing.to_owned(),
            given: given.to_owned(),
        }
    }

    pub(crate) fn corrupt(path: &Path, reason: impl ToString) -> Self {
        Self::Corrupt { path: path.display().to_string(), reason: reason.to_string() }
    }
}
