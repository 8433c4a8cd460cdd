//! What all bindings build on: threads and their wakers, raw calls, handles, errors.

pub(crate) mod clock;
pub(crate) mod copies;
pub(crate) mod deliveries;
pub(crate) mod error;
pub(crate) mod followed_clock;
pub(crate) mod instances;
pub(crate) mod memory;
pub(crate) mod message_numbers;
pub(crate) mod numbers;
pub(crate) mod options;
pub(crate) mod port;
pub(crate) mod presence;
pub(crate) mod raw;
pub(crate) mod replace_file;
pub(crate) mod seam;
pub(crate) mod slab;
pub(crate) mod thread;
pub(crate) mod waker;

use napi::bindgen_prelude::Result;
use sluice_core::client_key::DEFAULT_IPV6_PREFIX;

use self::seam::Layout;

/// Numbers that JavaScript sizes its arrays by, and what answers mean.
pub(crate) fn constants() -> impl Iterator<Item = seam::Constant> {
    SIZES.into_iter().chain(raw::CONSTANTS)
}

const SIZES: [seam::Constant; 7] = [
    ("NUMBERS", port::NUMBERS as i64, "Numbers that cross beside the arguments of a call."),
    ("INTEGERS", port::INTEGERS as i64, "Integers that cross beside them, without boxes."),
    ("KEYS_AT_ONCE", raw::KEYS_AT_ONCE as i64, "Keys of a limiter that cross at once."),
    (
        "MOST_CROSSING",
        message_numbers::MOST_CROSSING as i64,
        "Messages whose headers cross at once, in each direction.",
    ),
    (
        "EVERY_PEER",
        message_numbers::EVERY_PEER as i64,
        "Stands for every other peer as the receiver of a message.",
    ),
    (
        "DISTINCT_VERSIONS",
        sluice_core::VersionCells::DISTINCT.cast_signed(),
        "Versions of a registry that its cells tell apart: they show the remainder.",
    ),
    (
        "DEFAULT_IPV6_PREFIX",
        DEFAULT_IPV6_PREFIX as i64,
        "Leading bits of an IPv6 address that stand for one client by default.",
    ),
];

/// What JavaScript has to know beside what components declare.
pub(crate) static DECLARATIONS: seam::Declarations =
    seam::Declarations { layouts: &[raw::Admission::DESCRIPTION], codes: &[], options: &[] };

/// Adds the raw functions that belong to no component.
pub(crate) fn export(exports: &raw::Exports<'_>) -> Result<()> {
    clock::export(exports)?;
    followed_clock::export(exports)?;
    port::export(exports)?;
    thread::export(exports)
}
