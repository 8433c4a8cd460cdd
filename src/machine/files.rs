//! The files of shared state, and the processes that are attached to them, as JavaScript sees them.

use std::path::Path;

use sluice_core::Result;
use sluice_machine::{Attached, Content, Directory, Listed, Shared};

use super::{NativeAttached, NativeMachineFile, NativeMachineStats};
use crate::runtime::numbers::double;

pub(super) fn default_directory() -> Option<String> {
    Some(Directory::default_path().display().to_string())
}

/// What an instance says of the processes that share it.
pub(crate) fn stats_of(shared: &Shared, trouble: Option<String>) -> NativeMachineStats {
    NativeMachineStats {
        file: shared.path().display().to_string(),
        attached: shared.attached().into_iter().map(Into::into).collect(),
        deaths: double(shared.processes().deaths()),
        trouble,
    }
}

pub(super) fn list(directory: &str) -> Result<Vec<NativeMachineFile>> {
    let files = sluice_machine::list(Path::new(directory))?;
    Ok(files.into_iter().map(Into::into).collect())
}

pub(super) fn remove(directory: &str, file: &str, force: bool) -> Result<()> {
    Ok(sluice_machine::remove(Path::new(directory), file, force)?)
}

impl From<Attached> for NativeAttached {
    fn from(Attached { pid, since }: Attached) -> Self {
        Self { pid: double(pid), since: double(since) }
    }
}

impl From<Listed> for NativeMachineFile {
    fn from(Listed { file, bytes, content }: Listed) -> Self {
        let unread = Self {
            file,
            bytes: double(bytes),
            problem: None,
            kind: None,
            name: None,
            options: Vec::new(),
            generation: None,
            attached: Vec::new(),
            deaths: 0.0,
            clients: None,
            is_of_earlier_boot: false,
        };
        match content {
            Err(problem) => Self { problem: Some(problem), ..unread },
            Ok(content) => unread.with(content),
        }
    }
}

impl NativeMachineFile {
    fn with(self, content: Content) -> Self {
        let Content { kind, name, options, generation, attached, deaths, clients, is_of_earlier_boot } =
            content;
        Self {
            kind: Some(kind),
            name: Some(name),
            options: options.into_iter().flat_map(|(option, value)| [option, value]).collect(),
            generation: generation.map(double),
            attached: attached.into_iter().map(Into::into).collect(),
            deaths: double(deaths),
            clients: clients.map(double),
            is_of_earlier_boot,
            ..self
        }
    }
}
