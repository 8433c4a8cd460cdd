//! The files of a directory, for people that look at them: nothing is attached to, and no state is changed.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use memmap2::MmapOptions;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, unlinkat};
use rustix::io::Errno;
use sluice_core::machine::Processes;
use sluice_core::runtime::arena::Arena;
use sluice_core::{Instance, RateLimiter, RateLimiterConfig};

use crate::clock::Clock;
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::file::{is_named, read_header};
use crate::header::{self, Header};
use crate::range_files::ListFiles;
use crate::shared::Attached;
use crate::{locks, system};

/// A file in a directory of shared state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// What it holds, or why it cannot be read.
    pub content: std::result::Result<Content, String>,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The kind of component.
    pub kind: String,
    /// The name of the instance.
    pub name: String,
    /// The options in force; those of creation where they are not known.
    pub options: Vec<(String, String)>,
    /// How often the options were replaced; `None` where that is not known.
    pub generation: Option<u64>,
    /// The processes that are attached.
    pub attached: Vec<Attached>,
    /// How many were found to have ended.
    pub deaths: u64,
    /// Clients with state; `None` where that is not known.
    pub clients: Option<u64>,
    /// Whether it is from before the last boot: the next process replaces it.
    pub is_of_earlier_boot: bool,
}

/// The files in a directory, by name; none where it does not exist.
///
/// # Errors
///
/// The directory is none that state may lie in, or the system refuses.
pub fn list(directory: &Path) -> Result<Vec<Listed>> {
    let Some(directory) = Directory::find(directory)? else { return Ok(Vec::new()) };
    let mut files: Vec<_> =
        names(&directory)?.into_iter().filter_map(|name| look(&directory, name)).collect();
    files.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(files)
}

/// Removes a file that no process is attached to; with `force` any. Processes that are attached go on with it by
/// themselves.
///
/// # Errors
///
/// There is no such file; processes are attached; the system refuses.
pub fn remove(directory: &Path, file_name: &str, force: bool) -> Result<()> {
    let missing = || {
        Error::unavailable(&directory.join(file_name), "there is no such file", "a file that `list` names")
    };
    let directory = Directory::find(directory)?.ok_or_else(missing)?;
    if !names(&directory)?.iter().any(|name| name == file_name) {
        return Err(missing());
    }
    let path = directory.path_of(file_name);
    let file = open(&directory, file_name).map_err(|error| Error::of_system(&path, "open", error))?;
    // Kept until the name is gone: no process attaches meanwhile.
    let is_locked = locks::try_lock_whole(&file) || (force && locks::lock_name(&file));
    if !is_locked {
        return Err(Error::unavailable(
            &path,
            "processes are attached to it",
            "a file that none uses, or force",
        ));
    }
    // Replaced since it was opened: the next file may be in use.
    if !is_named(&directory, file_name, &file) {
        return Err(missing());
    }
    // Before the name is free: another process may put lists of a new file in force under the same names.
    ListFiles::new(Directory::open(directory.path())?, file_name).remove_all();
    unlinkat(directory.file(), file_name, AtFlags::empty())
        .map_err(|error| Error::of_system(&path, "unlink", error))
}

/// The names of files that may be of this package: `<kind>.<name>.<hash>.v<version>`.
fn names(directory: &Directory) -> Result<Vec<String>> {
    let refused = |error| Error::of_system(directory.path(), "readdir", error);
    let entries = Dir::read_from(directory.file()).map_err(refused)?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(refused)?;
        names.extend(entry.file_name().to_str().ok().filter(|name| is_named_so(name)).map(str::to_owned));
    }
    Ok(names)
}

fn is_named_so(name: &str) -> bool {
    let mut parts = name.rsplit('.');
    let is_version = |part: &str| part.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok());
    let is_hash = |part: &str| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.next().is_some_and(is_version) && parts.next().is_some_and(is_hash) && parts.count() >= 2
}

fn open(directory: &Directory, name: &str) -> std::result::Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(File::from(openat(directory.file(), name, flags, Mode::empty())?))
}

/// `None` where it was removed meanwhile.
fn look(directory: &Directory, name: String) -> Option<Listed> {
    let path = directory.path_of(&name);
    let file = match open(directory, &name) {
        Ok(file) => file,
        Err(Errno::NOENT) => return None,
        Err(error) => {
            let content = Err(Error::of_system(&path, "open", error).to_string());
            return Some(Listed { file: name, bytes: 0, content });
        }
    };
    let stat = fstat(&file).ok()?;
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let content =
        if is_regular { read(&file, &path, bytes) } else { Err(Error::corrupt(&path, "it is no file")) };
    Some(Listed { file: name, bytes, content: content.map_err(|error| error.to_string()) })
}

fn read(file: &File, path: &Path, bytes: u64) -> Result<Content> {
    let header = read_header(file, path, bytes)?;
    let refused = |error| Error::unavailable(path, format!("it cannot be mapped: {error}"), "room for it");
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    let arena = Arena::in_mapping(Arc::new(MmapOptions::new().len(length).map_raw(file).map_err(refused)?));
    arena.skip(header::LENGTH);
    let processes = Processes::new(&arena).map_err(|_| Error::corrupt(path, "it is too short"))?;
    let lives = |owner| !locks::is_free(file, owner).unwrap_or(false);
    let living = processes.live().filter(|owner| lives(owner.row()));
    let attached = living.filter_map(|owner| processes.describe(owner));
    let attached = attached.map(|(pid, since)| Attached { pid, since }).collect();
    let deaths = processes.deaths();
    let (generation, clients, options) = match limiter(&header, &arena, processes)? {
        Some(State { options, generation, clients }) => (Some(generation), Some(clients), options),
        None => (None, None, header.options),
    };
    let is_of_earlier_boot = system::boot_id() != Some(header.boot);
    let Header { kind, name, .. } = header;
    Ok(Content { kind, name, options, generation, attached, deaths, clients, is_of_earlier_boot })
}

/// What the state of a file says.
struct State {
    options: Vec<(String, String)>,
    generation: u64,
    clients: u64,
}

/// The state of a limiter; `None` where the file holds none.
fn limiter(header: &Header, arena: &Arena, processes: Processes) -> Result<Option<State>> {
    if header.kind != RateLimiter::KIND {
        return Ok(None);
    }
    let Some(config) = RateLimiterConfig::of_stored(&header.options) else { return Ok(None) };
    let clock = Clock::new(header.start, processes.clock_word());
    let limiter = RateLimiter::shared(&header.name, config, arena, &Arc::new(processes))?;
    let config = limiter.config();
    let options = config.stored().into_iter().map(|(option, value)| (option.to_owned(), value)).collect();
    // One that was ended in all processes has none.
    let clients = limiter.stats(clock.now()).map_or(0, |stats| stats.size);
    Ok(Some(State { options, generation: config.generation(), clients }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_names_of_its_files() {
        for name in ["RateLimiter.a.af63dc4c8601ec8c.v1", "Reputation.a.b.c.0000000000000000.v12"] {
            assert!(is_named_so(name), "{name}");
        }
        for name in [
            "notes.txt",
            "a.af63dc4c8601ec8c.v1",
            "RateLimiter.a.af63.v1",
            "RateLimiter.a.af63dc4c8601ec8c.x1",
        ] {
            assert!(!is_named_so(name), "{name}");
        }
    }
}
