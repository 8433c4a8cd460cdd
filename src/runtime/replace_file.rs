//! Replaces a file atomically: a reader finds the whole old content or the whole new content, even if the process or
//! the machine stops in between.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A call that the operating system refused.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) syscall: &'static str,
    pub(crate) error: io::Error,
}

/// Writes beside the file, and renames over it what the disk has. A process killed in between leaves the
/// file as it was, and the other one beside it.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let (written, beside) = create_beside(path).map_err(failed("open"))?;
    let replaced = write_and_rename(written, &beside, path, bytes);
    if replaced.is_err() {
        // The first failure is reported; this one would not help.
        let _ = fs::remove_file(&beside);
    }
    replaced
}

fn write_and_rename(mut written: File, beside: &Path, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    written.write_all(bytes).map_err(failed("write"))?;
    written.sync_all().map_err(failed("fsync"))?;
    drop(written);
    fs::rename(beside, path).map_err(failed("rename"))?;
    sync_folder(path).map_err(failed("fsync"))
}

/// A new file with an unused name in the same folder: only there is the rename atomic.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    for attempt in 0_u64.. {
        let mut beside = OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}-{attempt}.tmp", std::process::id()));
        let beside = path.with_file_name(beside);
        match private(OpenOptions::new().write(true).create_new(true)).open(&beside) {
            Ok(file) => return Ok((file, beside)),
            // Left by a process of this number that was killed, or another one's on a shared disk.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

fn failed(syscall: &'static str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure { syscall, error }
}

/// Contains addresses of clients: readable by the owner only.
#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// The new name is on the disk once its folder is.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
