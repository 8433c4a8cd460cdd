//! What a file must be for a process to attach to it: of this boot, this instance and these options, or of options on which
//! `terms` agree.

use std::fs::File;
use std::sync::Arc;

use memmap2::MmapOptions;
use sluice_core::OnMismatch;
use sluice_core::machine::Processes;
use sluice_core::runtime::arena::Arena;

use super::{Place, Wanted};
use crate::error::{Error, Result};
use crate::header::{Header, LENGTH};
use crate::terms::{Difference, Terms};

/// After how many attempts options of creation attach to processes that use others.
const UNSETTLED: u32 = 8;

impl Place<'_> {
    /// Why the file is to be replaced, if it is.
    pub(super) fn compare(&self, header: &Header) -> Result<()> {
        let Wanted { kind, name, options, bytes } = *self.wanted;
        if header.boot != self.boot {
            return Err(Error::corrupt(self.path, "it is from before the last reboot"));
        }
        if header.kind != kind || header.name != name {
            return Err(Error::corrupt(self.path, format!("it holds {} {:?}", header.kind, header.name)));
        }
        let mismatch = |option: &str, existing: &str, given: &str| {
            Err(Error::mismatch(self.path, option, existing, given))
        };
        for (index, (option, given)) in options.iter().enumerate() {
            match header.options.get(index) {
                Some((known, existing)) if known == option && existing == given => {}
                Some((known, existing)) if known == option => return mismatch(option, existing, given),
                _ => return mismatch(option, "none", given),
            }
        }
        if header.options.len() != options.len() || header.bytes != bytes {
            return mismatch("bytes", &header.bytes.to_string(), &bytes.to_string());
        }
        Ok(())
    }

    /// As [`compare`](Self::compare) with the options in force, which replaced those of creation.
    pub(super) fn compare_in_force(&self, file: &File, header: &Header, created: &Result<()>) -> Result<()> {
        match created {
            Ok(()) | Err(Error::ConfigMismatch { .. }) => {}
            Err(error) => return Err(error.clone()),
        }
        let Some(in_force) = self.in_force(file, header) else { return created.clone() };
        let given = self.wanted.options.iter().zip(&in_force);
        for ((option, given), (known, existing)) in given {
            if option != known || given != existing {
                return Err(Error::mismatch(self.path, option, existing, given));
            }
        }
        Ok(())
    }

    /// `None` where what is fixed at creation differs, or nothing can be read.
    fn in_force(&self, file: &File, header: &Header) -> Option<Vec<(String, String)>> {
        let Terms { accepts, in_force, .. } = self.terms?;
        if accepts(&header.options).ok()? != header.bytes {
            return None;
        }
        let bytes = usize::try_from(header.bytes).ok()?;
        let arena = Arena::in_mapping(Arc::new(MmapOptions::new().len(bytes).map_raw(file).ok()?));
        arena.skip(LENGTH);
        let processes = Arc::new(Processes::new(&arena).ok()?);
        in_force(&header.options, &arena, &processes)
    }

    /// Whether options other than those in force attach to processes that are attached; the error where they do not.
    pub(super) fn check_attached(
        &self,
        header: &Header,
        created: Result<()>,
        (in_force, attempt): (Error, u32),
    ) -> Result<()> {
        match created {
            // Those that start at once see each other, and the first that is alone brings them into force.
            Ok(()) if !self.reconfigures() && attempt < UNSETTLED => Err(in_force),
            // The options of creation attach, whatever replaced them.
            Ok(()) => Ok(()),
            Err(error) => self.check_accepted(header, error),
        }
    }

    fn reconfigures(&self) -> bool {
        self.terms.is_some_and(|terms| terms.on_mismatch == OnMismatch::Reconfigure)
    }

    /// Whether options that differ attach to those of processes that are attached; the error where they do not.
    fn check_accepted(&self, header: &Header, error: Error) -> Result<()> {
        let (Some(terms), true, Error::ConfigMismatch { .. }) = (self.terms, self.reconfigures(), &error)
        else {
            return Err(error);
        };
        let bytes = (terms.accepts)(&header.options).map_err(|Difference { option, existing, given }| {
            Error::mismatch(self.path, &option, &existing, &given)
        })?;
        if header.bytes == bytes { Ok(()) } else { Err(error) }
    }
}
