//! Errors: mistakes of the caller and failures of the system. A refusal is a value, not an error.

/// The result of a call that can be a mistake of its caller.
pub type Result<T> = std::result::Result<T, Error>;

/// A mistake of the caller or a fault of the system; state is as it was before the call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option outside what is accepted.
    #[error("{option} is {given}; accepted: {accepted}")]
    InvalidOption {
        /// Name of the option, with its owner, as the user writes it.
        option: String,
        /// What was given.
        given: String,
        /// What is accepted.
        accepted: String,
    },
    /// An instance exists under this name and was created with another value of `option`.
    #[error(
        "\"{name}\" was created with {option} = {existing}; given: {given}. Same options attach, others need another name"
    )]
    ConfigMismatch {
        /// Name of the instance.
        name: String,
        /// The first option that differs.
        option: &'static str,
        /// Its value at creation.
        existing: String,
        /// Its value now.
        given: String,
    },
    /// No instance, or no entry, has this name.
    #[error("{what} \"{name}\" does not exist; {accepted}")]
    NotFound {
        /// Kind of thing looked for.
        what: &'static str,
        /// The name asked for.
        name: String,
        /// What would have worked.
        accepted: &'static str,
    },
    /// The instance was destroyed.
    #[error("\"{name}\" was destroyed; create it anew to use it")]
    Closed {
        /// Name of the instance.
        name: String,
    },
    /// The text is no IP address.
    #[error("\"{given}\" is no IP address; accepted: IPv4 or IPv6, with or without brackets, port and zone")]
    InvalidAddress {
        /// What was given.
        given: String,
    },
    /// The text is no range of addresses.
    #[error(
        "{option} contains \"{given}\": {reason}; accepted: an address or a range such as \"10.0.0.0/8\" or \"2001:db8::/32\""
    )]
    InvalidCidr {
        /// Name of the option.
        option: String,
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file is truncated, changed, or of another format.
    #[error("{file} is corrupt: {reason}; accepted: a file that Reputation save has written")]
    CorruptFile {
        /// Where it was read.
        file: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file is of another version of the format.
    #[error("{file} has version {found} of its format; accepted: version {accepted}")]
    UnsupportedVersion {
        /// Where it was read.
        file: String,
        /// Its version.
        found: u32,
        /// The version this copy reads.
        accepted: u32,
    },
    /// A cost that is no positive integer.
    #[error("cost is {given}; accepted: an integer from 1 to 9007199254740991")]
    InvalidCost {
        /// What was given.
        given: String,
    },
    /// A value that is none of those accepted.
    #[error("{what} is {given}; accepted: {accepted}")]
    InvalidValue {
        /// What the value is for.
        what: &'static str,
        /// What was given.
        given: String,
        /// What is accepted.
        accepted: String,
    },
    /// The id belongs to another.
    #[error("{what} id \"{id}\" is in use; accepted: {accepted}")]
    DuplicateId {
        /// What has such an id.
        what: &'static str,
        /// The id.
        id: String,
        /// What is accepted.
        accepted: &'static str,
    },
    /// What cannot be done here.
    #[error("{what} is not supported; accepted: {accepted}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// What is accepted.
        accepted: &'static str,
    },
    /// What keeps state outside of this process refuses, in its own words.
    #[error("{message}")]
    Elsewhere {
        /// The stable code.
        code: &'static str,
        /// What is wrong, what was given, what is accepted.
        message: String,
    },
}

impl Error {
    /// The stable code, without the common prefix.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidOption { .. } => "INVALID_OPTION",
            Self::ConfigMismatch { .. } => "CONFIG_MISMATCH",
            Self::NotFound { .. } => "NOT_FOUND",
            Self::Closed { .. } => "CLOSED",
            Self::InvalidAddress { .. } | Self::InvalidCidr { .. } => "INVALID_ADDRESS",
            Self::CorruptFile { .. } => "CORRUPT_FILE",
            Self::UnsupportedVersion { .. } => "UNSUPPORTED_VERSION",
            Self::InvalidCost { .. } => "INVALID_COST",
            Self::InvalidValue { .. } => "INVALID_VALUE",
            Self::DuplicateId { .. } => "DUPLICATE_ID",
            Self::Unsupported { .. } => "UNSUPPORTED",
            Self::Elsewhere { code, .. } => code,
        }
    }

    pub(crate) fn invalid_option(option: &str, given: impl ToString, accepted: impl ToString) -> Self {
        Self::InvalidOption {
            option: option.to_owned(),
            given: given.to_string(),
            accepted: accepted.to_string(),
        }
    }

    /// The error of an option, with the option's owner before its name.
    pub(crate) fn of_owner(mut self, owner: &str) -> Self {
        if let Self::InvalidOption { option, .. } = &mut self {
            *option = format!("{owner} {option}");
        }
        self
    }
}
