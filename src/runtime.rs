//! What all bindings build on: threads and their wakers, raw calls, handles, errors.

pub(crate) mod clock;
pub(crate) mod copies;
pub(crate) mod error;
pub(crate) mod instances;
pub(crate) mod mailbox;
pub(crate) mod memory;
pub(crate) mod raw;
pub(crate) mod replace_file;
pub(crate) mod slab;
pub(crate) mod thread;
pub(crate) mod waker;
