//! Locks of bytes, far beyond the end of the file: one for each row. They belong to the open file description, so a process
//! that opens the file twice has two, and closing one leaves the other.

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use sluice_core::machine::Processes;

/// Beyond any length of a file.
const FIRST: i64 = 1 << 40;

/// Takes the locks of `count` rows, or none.
pub(crate) fn try_lock(file: impl AsFd, row: usize, count: usize) -> Result<bool, Errno> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_WRLCK, row, count))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The byte behind those of the rows: what removes the name of the file has its lock.
const NAME: usize = Processes::ROWS;

/// Takes the locks of all rows and of the name, or none: no other process is attached then.
pub(crate) fn try_lock_whole(file: impl AsFd) -> bool {
    try_lock(file, 0, NAME + 1).unwrap_or(false)
}

/// Takes the lock of the name. What removes the file at the same time has it for a few calls of the system.
pub(crate) fn lock_name(file: impl AsFd) -> bool {
    (0..50).any(|_| {
        let is_locked = try_lock(&file, NAME, 1).unwrap_or(false);
        if !is_locked {
            thread::sleep(Duration::from_millis(1));
        }
        is_locked
    })
}

/// Gives back all locks that this open file description has.
pub(crate) fn unlock_all(file: impl AsFd) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock(libc::F_UNLCK, 0, NAME + 1))).map(drop)
}

/// Whether no other open file description has the lock of a row.
pub(crate) fn is_free(file: impl AsFd, row: usize) -> Result<bool, Errno> {
    are_free(file, row, 1)
}

/// Whether no other open file description has the lock of any row.
pub(crate) fn is_alone(file: impl AsFd) -> bool {
    are_free(file, 0, Processes::ROWS).unwrap_or(false)
}

fn are_free(file: impl AsFd, row: usize, count: usize) -> Result<bool, Errno> {
    let mut lock = lock(libc::F_WRLCK, row, count);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) == libc::F_UNLCK)
}

#[expect(clippy::cast_possible_truncation, reason = "the constants of the system fit its struct")]
fn lock(kind: i32, row: usize, count: usize) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: FIRST + row as i64,
        l_len: count as i64,
        // Required by locks of open file descriptions.
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn each_open_file_has_its_own() {
        let named = tempfile::NamedTempFile::new().expect("room");
        let open = || File::options().read(true).write(true).open(named.path()).expect("it is there");
        let (first, second) = (open(), open());
        assert_eq!(try_lock(&first, 3, 1), Ok(true));
        assert_eq!((try_lock(&second, 3, 1), try_lock(&second, 4, 1)), (Ok(false), Ok(true)));
        assert_eq!(
            (is_free(&second, 3), is_free(&first, 3), is_free(&first, 5)),
            (Ok(false), Ok(true), Ok(true))
        );
        assert!(!is_alone(&first) && !is_alone(&second));
        assert_eq!(try_lock(&first, 0, 8), Ok(false), "not all of them");
        drop(second);
        assert!(is_alone(&first));
        assert_eq!(try_lock(&first, 0, 8), Ok(true));
        let third = open();
        assert_eq!(try_lock(&third, 7, 1), Ok(false));
        assert_eq!(unlock_all(&first), Ok(()));
        assert_eq!((is_free(&third, 7), try_lock(&third, 7, 1)), (Ok(true), Ok(true)));
        assert_eq!(is_free(&first, 7), Ok(false), "not those of others");
    }
}
