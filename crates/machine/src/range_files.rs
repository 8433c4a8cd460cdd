//! The files of a reputation's lists and banned ranges, beside that of its state. Each is complete before it has a name, and
//! is not changed after that.

use std::fs::{File, read_dir};
use std::io::Read;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;
use sluice_core::RangeFiles;

use crate::creation::create_with;
use crate::directory::Directory;
use crate::error::{Error, Result};

/// Longer files are refused: of some millions of ranges.
const MOST_BYTES: u64 = 256 << 20;

const ACCEPTED: &str = "a file of lists that this user alone may open";

/// Files named after that of the state.
pub(crate) struct ListFiles {
    directory: Directory,
    prefix: String,
}

impl ListFiles {
    /// Those beside the file of this name.
    pub(crate) fn new(directory: Directory, state: &str) -> Self {
        Self { directory, prefix: format!("{state}.lists.") }
    }

    /// Removes every file, once nothing uses the state any more.
    pub(crate) fn remove_all(&self) {
        for name in self.names() {
            self.remove(name);
        }
    }

    fn file_name(&self, name: u64) -> String {
        format!("{}{name:016x}", self.prefix)
    }

    fn path(&self, name: u64) -> PathBuf {
        self.directory.path_of(&self.file_name(name))
    }

    fn open(&self, name: u64) -> Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match openat(self.directory.file(), self.file_name(name), flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP) => Err(Error::corrupt(&self.path(name), "it is a symbolic link")),
            Err(error) => Err(Error::of_system(&self.path(name), "open", error)),
        }
    }

    fn check(&self, name: u64, file: &File) -> Result<()> {
        let path = self.path(name);
        let stat = fstat(file).map_err(|error| Error::of_system(&path, "fstat", error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::corrupt(&path, "it is no regular file"));
        }
        if stat.st_uid != geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
            let mode = stat.st_mode & 0o7777;
            let reason = format!("it belongs to the user {} and has the mode {mode:o}", stat.st_uid);
            return Err(Error::unavailable(&path, reason, ACCEPTED));
        }
        if u64::try_from(stat.st_size).map_or(true, |bytes| bytes > MOST_BYTES) {
            return Err(Error::corrupt(&path, format!("it is longer than {MOST_BYTES} bytes")));
        }
        Ok(())
    }

    fn try_read(&self, name: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open(name)? else { return Ok(None) };
        self.check(name, &file)?;
        let mut bytes = Vec::new();
        let read = file.take(MOST_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| Error::unavailable(&self.path(name), error, ACCEPTED))?;
        Ok(Some(bytes))
    }

    fn try_create(&self, name: u64, bytes: &[u8]) -> Result<bool> {
        let length = bytes.len() as u64;
        if length > MOST_BYTES {
            let reason = format!("lists and banned ranges take {length} bytes");
            return Err(Error::unavailable(&self.path(name), reason, format!("at most {MOST_BYTES} bytes")));
        }
        Ok(create_with(&self.directory, &self.file_name(name), bytes, length)?.is_some())
    }
}

impl RangeFiles for ListFiles {
    fn create(&self, name: u64, bytes: &[u8]) -> sluice_core::Result<bool> {
        Ok(self.try_create(name, bytes)?)
    }

    fn read(&self, name: u64) -> sluice_core::Result<Option<Vec<u8>>> {
        Ok(self.try_read(name)?)
    }

    fn remove(&self, name: u64) {
        // What cannot be removed now is found again by the next change.
        let _ = unlinkat(self.directory.file(), self.file_name(name), AtFlags::empty());
    }

    fn names(&self) -> Vec<u64> {
        let entries = read_dir(self.directory.path()).into_iter().flatten().flatten();
        let name = |entry: std::fs::DirEntry| {
            let name = entry.file_name();
            let digits = name.to_str()?.strip_prefix(&self.prefix)?;
            u64::from_str_radix(digits, 16).ok().filter(|number| name == *self.file_name(*number))
        };
        entries.filter_map(name).collect()
    }

    fn describe(&self, name: u64) -> String {
        self.path(name).display().to_string()
    }
}
