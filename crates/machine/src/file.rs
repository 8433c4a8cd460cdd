//! The file of an instance: opened, checked, and replaced where no process uses it.

mod comparison;

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;
use sluice_core::OptionList;
use sluice_core::machine::Processes;

use crate::creation;
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::header::{Header, LENGTH, Refusal, VERSION};
use crate::terms::Terms;
use crate::{locks, system};

/// How often a file is looked for: each time another process has just replaced it, or is about to.
const ATTEMPTS: u32 = 40;

/// What state is to be shared.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The kind of component.
    pub kind: &'static str,
    /// The name of the instance.
    pub name: &'a str,
    /// Its options, in which all processes agree.
    pub options: &'a OptionList,
    /// Bytes of the whole file.
    pub bytes: u64,
}

impl Wanted<'_> {
    /// The name of the file: what people can read of the instance's name, and a hash of all of it.
    pub(crate) fn file_name(&self) -> String {
        let readable =
            |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
        let name: String = self.name.chars().take(64).map(readable).collect();
        format!("{}.{name}.{:016x}.v{VERSION}", self.kind, fnv(self.name.as_bytes()))
    }
}

/// The same for every build of this package, unlike the standard library's.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A file that this process is attached to: it holds the lock of a row.
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    pub(crate) row: usize,
    /// Which file it is, so that a descriptor that became another's is noticed.
    pub(crate) identity: (u64, u64),
    /// No other process was attached, and other options than those of creation, which are given, were in force.
    pub(crate) takes_over: bool,
}

/// What became of an attempt to attach.
enum Attempt {
    Attached(Opened),
    /// The file was replaced, or removed to be replaced.
    Gone,
    /// It is to be replaced, and another process is attached to it, perhaps for as long as it takes to see the same.
    InUse(Error),
}

/// Opens the file, which is created where there is none.
///
/// Where options differ and other processes are attached, `terms` decide.
pub(crate) fn open(directory: &Directory, wanted: &Wanted<'_>, terms: Option<Terms<'_>>) -> Result<Opened> {
    let name = wanted.file_name();
    let path = directory.path_of(&name);
    let boot = system::boot_id().ok_or_else(|| {
        Error::unavailable(&path, "the system does not say which boot this is", "a mounted /proc")
    })?;
    let place = Place { directory, wanted, terms, name: &name, path: &path, boot };
    let mut error = Error::unavailable(&path, "it is replaced again and again", "one version of the options");
    for attempt in 0..ATTEMPTS {
        let file = match place.open()? {
            Some(file) => Some(file),
            None => creation::create(directory, &name, wanted, boot)?,
        };
        match file.map_or(Ok(Attempt::Gone), |file| place.attach(file, attempt))? {
            Attempt::Attached(opened) => return Ok(opened),
            Attempt::Gone => {}
            Attempt::InUse(in_use) => {
                error = in_use;
                // Processes that start at once must not wait for each other in step.
                thread::sleep(Duration::from_millis(1 + u64::from(std::process::id() + attempt) % 8));
            }
        }
    }
    Err(error)
}

/// Where a file is looked for, and what it must be.
struct Place<'a> {
    directory: &'a Directory,
    wanted: &'a Wanted<'a>,
    terms: Option<Terms<'a>>,
    name: &'a str,
    path: &'a PathBuf,
    boot: [u64; 2],
}

impl Place<'_> {
    fn system(&self, call: &str) -> impl Fn(Errno) -> Error {
        move |error| Error::of_system(self.path, call, error)
    }

    /// `None` where there is none.
    fn open(&self) -> Result<Option<File>> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match openat(self.directory.file(), self.name, flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP) => Err(Error::corrupt(self.path, "it is a symbolic link")),
            Err(Errno::ISDIR | Errno::NXIO) => Err(Error::corrupt(self.path, "it is no regular file")),
            Err(error) => Err(self.system("open")(error)),
        }
    }

    fn attach(&self, file: File, attempt: u32) -> Result<Attempt> {
        let stat = fstat(&file).map_err(self.system("fstat"))?;
        self.check_access(&stat)?;
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        let header = read_header(&file, self.path, length)?;
        // A row before anything is compared: a process that replaces a file makes sure that no other has one.
        let Some(row) = self.take_row(&file)? else { return Ok(Attempt::InUse(self.all_rows_are_taken())) };
        let named = statat(self.directory.file(), self.name, AtFlags::SYMLINK_NOFOLLOW);
        if !named.is_ok_and(|named| identity(&named) == identity(&stat)) {
            return Ok(Attempt::Gone);
        }
        let created = self.compare(&header);
        let in_force = self.compare_in_force(&file, &header, &created);
        // Those of creation have their counts: what was charged while others were in force stays charged.
        let takes_over = in_force.is_err() && created.is_ok() && locks::is_alone(&file);
        if let Err(error) = in_force
            && !takes_over
        {
            if created.is_err() && self.replace(&file)? {
                return Ok(Attempt::Gone);
            }
            if let Err(error) = self.check_attached(&header, created, (error, attempt)) {
                return Ok(Attempt::InUse(error));
            }
        }
        let path = self.path.clone();
        Ok(Attempt::Attached(Opened { file, path, header, row, identity: identity(&stat), takes_over }))
    }

    fn check_access(&self, stat: &Stat) -> Result<()> {
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::corrupt(self.path, "it is no regular file"));
        }
        if stat.st_uid != geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
            let mode = stat.st_mode & 0o7777;
            let reason = format!("it belongs to the user {} and has the mode {mode:o}", stat.st_uid);
            return Err(Error::unavailable(self.path, reason, "a file of this user that no other may open"));
        }
        Ok(())
    }

    /// `None` where all are taken, perhaps by a process that looks whether it is alone.
    fn take_row(&self, file: &File) -> Result<Option<usize>> {
        for row in 0..Processes::ROWS {
            let locked = locks::try_lock(file, row, 1);
            if locked.map_err(|error| {
                Error::of_system(self.path, "lock", Errno::from_raw_os_error(error as i32))
            })? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn all_rows_are_taken(&self) -> Error {
        let reason = format!("{} processes are attached", Processes::ROWS);
        Error::unavailable(self.path, reason, "that many processes at once")
    }

    /// Removes the file's name, if no other process is attached; whether it has.
    fn replace(&self, file: &File) -> Result<bool> {
        if !locks::try_lock_whole(file) {
            return Ok(false);
        }
        // Only a process that has the lock of the name removes it. The name may have become another file's before that.
        if is_named(self.directory, self.name, file) {
            unlinkat(self.directory.file(), self.name, AtFlags::empty()).map_err(self.system("unlink"))?;
        }
        Ok(true)
    }
}

/// The header of a file of so many bytes.
pub(crate) fn read_header(file: &File, path: &Path, length: u64) -> Result<Header> {
    let mut bytes = vec![0; LENGTH];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            return Err(Error::corrupt(path, "it is shorter than a header"));
        }
        Err(error) => return Err(Error::unavailable(path, error, "a file that can be read")),
    }
    Header::decode(&bytes, length).map_err(|refusal| match refusal {
        Refusal::Corrupt(reason) => Error::corrupt(path, reason),
        Refusal::Version(found) => {
            Error::UnsupportedVersion { path: path.display().to_string(), found, accepted: VERSION }
        }
    })
}

/// Whether the name still is that of the file. It stays so while the lock of the name is held.
pub(crate) fn is_named(directory: &Directory, name: &str, file: &File) -> bool {
    let named = statat(directory.file(), name, AtFlags::SYMLINK_NOFOLLOW);
    named.is_ok_and(|named| fstat(file).is_ok_and(|stat| identity(&named) == identity(&stat)))
}

pub(crate) fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(name: &str) -> String {
        Wanted { kind: "RateLimiter", name, options: &vec![], bytes: 0 }.file_name()
    }

    #[test]
    fn names_of_files_are_safe_and_differ() {
        assert_eq!(name_of("a"), "RateLimiter.a.af63dc4c8601ec8c.v2");
        assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c, "the published value");
        let names = ["../../etc", "a/b", "a_b", "a\0b", "", ".", &"é".repeat(500)].map(name_of);
        for name in &names {
            assert!(name.len() < 255 && !name.contains(['/', '\0']) && !name.starts_with('.'), "{name}");
        }
        let mut distinct = names.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), names.len());
    }
}
