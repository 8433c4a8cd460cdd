//! A file is created complete, or not at all: it gets its name when nothing is missing any more.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, fallocate, fchmod, fstatvfs, linkat, openat};
use rustix::io::{Errno, retry_on_intr};
use sluice_core::runtime::key_hash::KeyHasher;

use crate::clock::Start;
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::file::Wanted;
use crate::header::Header;
use crate::system;

/// Memory is reserved in pieces of so many bytes: a signal undoes the piece that it interrupts.
const PIECE: u64 = 1 << 20;

/// Creates the file under its name; `None` where there is one by now.
pub(crate) fn create(
    directory: &Directory,
    file_name: &str,
    wanted: &Wanted<'_>,
    boot: [u64; 2],
) -> Result<Option<File>> {
    let header = header(wanted, boot).encode().ok_or_else(|| Error::Unsupported {
        what: format!("{} {:?} has options of more than 3 KiB", wanted.kind, wanted.name),
        accepted: "shorter names of the limits and of the instance",
    })?;
    create_with(directory, file_name, &header, wanted.bytes)
}

/// Creates a file of so many bytes, of which the first are given; `None` where there is one of this name by now.
pub(crate) fn create_with(
    directory: &Directory,
    file_name: &str,
    content: &[u8],
    bytes: u64,
) -> Result<Option<File>> {
    let (path, file) = (directory.path_of(file_name), open_unnamed(directory, bytes)?);
    file.write_all_at(content, 0)
        .map_err(|error| Error::unavailable(directory.path(), error, "a directory with room"))?;
    // Whatever the umask took away.
    fchmod(&file, Mode::RUSR | Mode::WUSR).map_err(|error| Error::of_system(&path, "fchmod", error))?;
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, own, directory.file(), file_name, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::EXIST) => Ok(None),
        Err(error) => Err(Error::of_system(&path, "linkat", error)),
    }
}

fn header(wanted: &Wanted<'_>, boot: [u64; 2]) -> Header {
    let (random, mut number) = (RandomState::new(), 0_u64);
    let seeds = std::array::from_fn::<_, { KeyHasher::SEEDS }, _>(|_| {
        number += 1;
        random.hash_one(number)
    });
    let options = wanted.options.iter().map(|(option, value)| ((*option).to_owned(), value.clone()));
    Header {
        bytes: wanted.bytes,
        boot,
        start: Start::now(),
        seeds,
        kind: wanted.kind.to_owned(),
        name: wanted.name.to_owned(),
        options: options.collect(),
    }
}

/// A file without a name, for which all memory is reserved.
fn open_unnamed(directory: &Directory, bytes: u64) -> Result<File> {
    let path = directory.path();
    // A file in memory counts in the group of the process that writes it first, and the kernel kills for it.
    if let Some(left) = system::memory_left()
        && left < bytes
    {
        let reason = format!("the state takes {bytes} bytes, and the control group has {left} left");
        return Err(Error::unavailable(path, reason, "a smaller maxKeys, or a higher memory limit"));
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = openat(directory.file(), ".", flags, Mode::RUSR | Mode::WUSR)
        .map_err(|error| Error::of_system(path, "open (O_TMPFILE)", error))?;
    match reserve(&file, bytes) {
        Ok(()) => Ok(file.into()),
        Err(Errno::NOSPC | Errno::FBIG) => {
            let reason = format!("it has no room for {bytes} bytes");
            Err(Error::unavailable(path, reason, "a smaller maxKeys, or a larger file system"))
        }
        Err(error) => Err(Error::of_system(path, "fallocate", error)),
    }
}

fn reserve(file: impl AsFd, bytes: u64) -> std::result::Result<(), Errno> {
    // Asked first, so that a file that has no room does not take all of it for a moment. No blocks: no limit.
    let room = retry_on_intr(|| fstatvfs(&file))?;
    if room.f_blocks > 0 && room.f_bavail.saturating_mul(room.f_frsize) < bytes {
        return Err(Errno::NOSPC);
    }
    let mut from = 0;
    while from < bytes {
        let length = PIECE.min(bytes - from);
        retry_on_intr(|| fallocate(&file, FallocateFlags::empty(), from, length))?;
        from += length;
    }
    Ok(())
}
